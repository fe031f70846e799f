// hsmith log checkpoint: the end of the audit log, signed by a token key, to be kept elsewhere.
#include <ctime>
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "src/audit/checkpoint.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string output = "-";
};

std::string scheme_text(const ossl::Scheme& scheme) {
  const char* padding = scheme.padding == ossl::Padding::pss     ? "pss"
                        : scheme.padding == ossl::Padding::pkcs1 ? "pkcs1"
                                                                 : "";
  return fmt::format("{}:{}", padding, scheme.digest != nullptr ? scheme.digest->name : "");
}

audit::Checkpoint signed_by(ossl::RemoteKey& key, const audit::Position& position) {
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key(), "", "");
  audit::Checkpoint checkpoint{position,
                               rfc3339(std::time(nullptr)),
                               sha256_hex(ossl::spki_of(key.public_key())),
                               scheme_text(scheme),
                               {}};
  const Bytes message = audit::signed_bytes(checkpoint);
  checkpoint.signature =
      key.sign(scheme, scheme.digest != nullptr ? ossl::digest(*scheme.digest, message) : message);
  return checkpoint;
}

Outcome run(const Options& options, Context& context) {
  check_output(options.output, context.replace());
  const std::filesystem::path log = audit_file(context);
  if (!std::filesystem::exists(log)) {
    throw Error(Kind::not_found,
                fmt::format("sign the audit log {}: there is none", quoted(log.string())));
  }
  const audit::Verification found = audit::verify(log, std::nullopt);
  if (!found.problem.empty()) {
    throw Error(Kind::mismatch,
                fmt::format("sign the audit log {}: {}", quoted(log.string()), found.problem));
  }
  const tokens::Selector selector = tokens::parse_selector(options.key);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  if (context.options.plan) return planned({{Change::Kind::create, "file " + options.output}});
  const std::string text = audit::format(signed_by(*tokens::remote_key(token, key), found.last));
  Outcome outcome;
  outcome.data = {{"entries", found.last.number}, {"hash", found.last.hash}, {"key", key.uri}};
  if (options.output == "-") {
    outcome.text = text;
    outcome.data["checkpoint"] = Json::parse(text);
    return outcome;
  }
  write_file(options.output, as_bytes(text), kPublicFile, context.replace());
  outcome.data["file"] = json_text(options.output);
  outcome.text = fmt::format("{}: {} entries, signed by {}\n", printable(options.output),
                             found.last.number, key.uri);
  return outcome;
}

}  // namespace

void add_log_checkpoint(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key, "Label, id:HEX or PKCS#11 URI of the key that signs")
      .required();
  command.add_option("-o,--output", options->output, "File to write (default: standard output)");
  command.footer(
      "Examples:\n  hsmith log checkpoint --key auditor -o log-2026-11.checkpoint\n  hsmith log "
      "checkpoint --key auditor --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
