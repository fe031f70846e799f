// hsmith archive rekey check: whether what was wrapped opens with a new agent's card.
#include <fmt/format.h>
#include <set>

#include "cli/agents.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "cli/rekey.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/matching.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> officers;
};

// The new agent that the token is, and its key.
struct Match {
  X509* certificate;
  const tokens::Key* key;
};

// Throws not_found where nothing was wrapped to any agent that the token is.
Match match(const RekeyAnswerFile& read, const tokens::Inventory& inventory,
            const std::string& file) {
  std::set<Bytes> wrapped_to;
  for (const auto& key : read.answer.keys) wrapped_to.insert(key.to);
  std::vector<std::string> names;
  for (const auto& agent : read.exported.to) {
    X509* certificate = agent.certificate.get();
    if (!wrapped_to.contains(recovery::sha256_of(x509::certificate_der(certificate)))) continue;
    const auto keys = tokens::keys_with(inventory, x509::public_key_of(certificate));
    if (!keys.empty()) return {certificate, keys.front()};
    names.push_back(agent_text(certificate));
  }
  throw Error(Kind::not_found,
              fmt::format("check {}: no key on the token is one of its new agents, to whom "
                          "keys were wrapped",
                          quoted(file)))
      .candidates(std::move(names));
}

Outcome run(const Options& options, Context& context) {
  const auto officers = trusted_officers(options.officers, context);
  const RekeyAnswerFile read = read_rekey_answer_file(options.file);
  require_officer(read.exported_file.certificate.get(), read.exported_file.signer, officers,
                  options.file);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const Match found = match(read, inventory, options.file);
  std::size_t good = 0;
  const auto failures = recovery::check_wrapped(read.exported, read.answer, found.certificate,
                                                *tokens::remote_key(token, *found.key), good);
  Outcome outcome;
  outcome.data = {{"agent", x509::certificate_sha256(found.certificate)}, {"good", good}};
  outcome.text = fmt::format("{} opens {} of {} keys\n", agent_text(found.certificate), good,
                             good + failures.size());
  outcome.exit = failures.empty() ? 0 : 3;
  outcome.data["bad"] = Json::array();
  for (const auto& failure : failures) {
    outcome.data["bad"].push_back({{"number", failure.id}, {"cause", json_text(failure.cause)}});
    outcome.text += fmt::format("  key {}: {}\n", failure.id, failure.cause);
  }
  return outcome;
}

}  // namespace

void add_archive_rekey_check(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "What the old agent wrapped").required();
  add_officer_certificates(command, options->officers);
  command.footer(
      "Examples:\n  hsmith archive rekey check back.rekey --officer-cert officer.crt\n"
      "  hsmith archive rekey check back.rekey --token agent3 --json");
  command.callback([options, &context] {
    context.command = "archive rekey check";
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
