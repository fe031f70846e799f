// hsmith log verify: the chain of the audit log, and that nothing is missing behind a checkpoint.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "src/audit/checkpoint.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/kind.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string checkpoint;
  std::string certificate;
};

ossl::Scheme scheme_of(const audit::Checkpoint& checkpoint, const EVP_PKEY* key) {
  const std::vector<std::string> parts = split(checkpoint.scheme, ':');
  if (parts.size() != 2) throw Error(Kind::malformed, "read the checkpoint: its scheme is damaged");
  try {
    return ossl::choose_scheme(key, parts[0], parts[1]);
  } catch (const Error& error) {  // not what the user asked for, but what the file says
    throw Error(Kind::malformed,
                fmt::format("read the checkpoint: its scheme is damaged: {}", error.what()));
  }
}

// The checkpoint's place, once its signature is proved with the certificate that the user trusts.
audit::Position trusted_position(const Options& options) {
  const Bytes content = read_file(options.checkpoint);
  if (x509::kind_of(content) != "a JSON file")
    x509::refuse_kind(content, quoted(options.checkpoint), "a checkpoint of the audit log");
  const audit::Checkpoint checkpoint = audit::parse_checkpoint(content, quoted(options.checkpoint));
  const ossl::Certificate certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  EVP_PKEY* key = x509::public_key_of(certificate.get());
  const ossl::Scheme scheme = scheme_of(checkpoint, key);
  const Bytes message = audit::signed_bytes(checkpoint);
  const Bytes input = scheme.digest != nullptr ? ossl::digest(*scheme.digest, message) : message;
  const bool good = checkpoint.key_sha256 == sha256_hex(ossl::spki_of(key)) &&
                    ossl::verify(key, scheme, input, checkpoint.signature);
  if (!good) {
    throw Error(Kind::mismatch,
                fmt::format("verify the checkpoint {}: it is not signed by the key of {}",
                            quoted(options.checkpoint), quoted(options.certificate)));
  }
  return checkpoint.position;
}

Outcome run(const Options& options, Context& context) {
  if (options.checkpoint.empty() != options.certificate.empty()) {
    throw Error(Kind::usage, "log verify: --checkpoint and --cert go together");
  }
  std::optional<audit::Position> checkpoint;
  if (!options.checkpoint.empty()) checkpoint = trusted_position(options);
  const std::filesystem::path log = audit_file(context);
  audit::Verification found{{0, audit::no_hash()}, "", false};
  if (std::filesystem::exists(log)) {
    found = audit::verify(log, checkpoint);
  } else if (checkpoint) {
    found.problem =
        fmt::format("the log is gone, the checkpoint knows entry {}", checkpoint->number);
  }
  if (found.torn)
    context.warn(
        "the last line is not complete: a process died while writing it; the next entry will say "
        "so");
  Outcome outcome;
  outcome.exit = found.problem.empty() ? 0 : 3;
  outcome.data = {{"holds", found.problem.empty()},
                  {"entries", found.last.number},
                  {"last_hash", found.last.hash},
                  {"torn_last_line", found.torn},
                  {"scope", checkpoint ? "up to the checkpoint" : "inner consistency only"}};
  if (!found.problem.empty()) outcome.data["problem"] = found.problem;
  const std::string scope =
      checkpoint
          ? fmt::format("nothing is missing up to entry {} of the checkpoint", checkpoint->number)
          : "inner consistency only: without a checkpoint a cut end is not seen";
  outcome.text = found.problem.empty()
                     ? fmt::format("{} entries hold; {}\n", found.last.number, scope)
                     : fmt::format("THE LOG DOES NOT HOLD: {}\n", found.problem);
  return outcome;
}

}  // namespace

void add_log_verify(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--checkpoint", options->checkpoint, "A checkpoint that was kept elsewhere");
  command.add_option("--cert", options->certificate,
                     "Certificate of the key that signed the checkpoint");
  command.footer(
      "Examples:\n  hsmith log verify\n  hsmith log verify --checkpoint log-2026-11.checkpoint "
      "--cert auditor.crt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
