// hsmith archive rekey wrap: an agent's card encrypts content keys to new agents.
#include <ctime>
#include <fmt/format.h>

#include "cli/agents.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "cli/rekey.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/agents.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> to;
  std::vector<std::string> officers;
  std::string output;
};

// The officer's list says who may be; the agent says who shall be, by certificate.
std::vector<std::size_t> targets(const Options& options, const recovery::RekeyExport& exported) {
  std::vector<std::size_t> indices;
  for (const std::string& file : options.to) {
    const auto wanted = x509::read_certificate(read_file(file), quoted(file));
    std::size_t index = 0;
    while (index < exported.to.size() &&
           !x509::same_certificate(exported.to[index].certificate.get(), wanted.get())) {
      ++index;
    }
    if (index == exported.to.size()) {
      throw Error(Kind::refused, fmt::format("wrap content keys to {}: the officer does not name "
                                             "{} as a new agent",
                                             quoted(file), agent_text(wanted.get())))
          .hint("export again, with --to for this agent");
    }
    // Whether it is valid is for the archive to tell, which has anchors and lists.
    const auto state = recovery::agent_state(wanted.get(), {}, std::time(nullptr));
    if (state.state == "unsuitable") {
      throw Error(Kind::refused,
                  fmt::format("wrap content keys to {}: {}", quoted(file), state.cause));
    }
    indices.push_back(index);
  }
  return indices;
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-") throw Error(Kind::usage, "archive rekey wrap -o -: name a file");
  check_output(options.output, context.replace());
  Bytes file = read_file(options.file, recovery::kMostRekeyFile);
  const auto officers = trusted_officers(options.officers, context);
  const recovery::SignedFile signed_file = recovery::read_signed_file(file, options.file);
  require_officer(signed_file.certificate.get(), signed_file.signer, officers, options.file);
  const recovery::RekeyExport exported =
      recovery::read_rekey_export(signed_file.content, options.file);
  const std::vector<std::size_t> to = targets(options, exported);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  X509* from = exported.from.get();
  const tokens::Key& where =
      tokens::key_of_certificate(token, inventory, from, "the agent " + agent_text(from));
  if (context.options.plan) return planned({{Change::Kind::create, options.output}});
  Json agents = Json::array();
  for (const std::size_t index : to)
    agents.push_back(x509::certificate_sha256(exported.to[index].certificate.get()));
  record(context,
         {{"event", "rekey"},
          {"token", json_text(token.info.label)},
          {"serial", json_text(token.info.serial)},
          {"archive", json_text(exported.archive)},
          {"export", hex(recovery::sha256_of(file))},
          {"keys", exported.keys.size()},
          {"to", agents}},
         audit::Flush::yes);
  const auto key = tokens::remote_key(token, where);
  const recovery::Wrapping wrapping = recovery::wrap_to(exported, std::move(file), to, *key);
  const std::size_t wrapped = exported.keys.size() - wrapping.failures.size();
  Outcome outcome;
  outcome.data = {{"keys", wrapped}, {"to", std::move(agents)}};
  if (wrapped > 0) {
    const recovery::FileSigner signer{key, from};
    write_file(options.output,
               recovery::write_agent_file(recovery::rekey_answer_text(wrapping.answer),
                                          {wrapping.mac}, where.sign == true ? &signer : nullptr),
               kPrivateFile, context.replace());
    outcome.data["file"] = json_text(options.output);
    outcome.data["signed"] = where.sign == true;
    outcome.text = fmt::format("{}: {} keys\n", printable(options.output), wrapped);
    for (const std::size_t index : to)
      outcome.text += fmt::format("  for {}\n", agent_text(exported.to[index].certificate.get()));
  }
  add_failures(outcome, wrapping.failures, "wrap the content key of");
  return outcome;
}

}  // namespace

void add_archive_rekey_wrap(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "What the officer exported").required();
  command.add_option("--to", options->to, "Certificate of a new agent, a file; several times")
      .required()
      .one_each();
  add_officer_certificates(command, options->officers);
  command.add_option("-o,--output", options->output, "File to write, for the officer").required();
  command.footer(
      "Examples:\n  hsmith archive rekey wrap out.rekey --to agent3.crt --officer-cert officer.crt "
      "-o back.rekey\n"
      "  hsmith archive rekey wrap out.rekey --to agent3.crt --to agent4.crt --token agent1 -o "
      "back.rekey");
  command.callback([options, &context] {
    context.command = "archive rekey wrap";
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
