// hsmith archive rekey apply: what an agent wrapped becomes part of the blobs, sealed.
#include <ctime>
#include <fmt/format.h>
#include <set>

#include "cli/agents.h"
#include "cli/challenges.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "cli/rekey.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/valid_agents.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string file;
};

// The agent's signature; or the MAC, which nobody makes who has not opened the challenge.
void check_origin(const Context& context, const RekeyAnswerFile& read, const std::string& file) {
  X509* from = read.exported.from.get();
  if (X509* signer = read.agent_file.signer.get()) {
    if (x509::same_certificate(signer, from)) return;
    throw Error(Kind::mismatch, fmt::format("apply {}: it is signed by {}, not by {}", quoted(file),
                                            agent_text(signer), agent_text(from)));
  }
  const Bytes exported = recovery::sha256_of(read.answer.exported);
  for (const Bytes& mac : read.agent_file.macs) {
    if (answers_challenge(context, exported, read.agent_file.text, mac)) return;
  }
  throw Error(Kind::mismatch, fmt::format("apply {}: nothing proves that the card of {} made it",
                                          quoted(file), agent_text(from)))
      .hint("apply it with the state folder from which it was exported, or export again");
}

// The officer who exported.
const recovery::Officer& check_export(const recovery::Archive& archive,
                                      const recovery::Trust& trust, const RekeyAnswerFile& read,
                                      const std::string& file) {
  X509* signer = read.exported_file.certificate.get();
  if (signer == nullptr)
    throw Error(Kind::malformed,
                fmt::format("apply {}: the officer's certificate is missing", quoted(file)));
  const recovery::Officer& officer = officer_of(archive, trust, signer);
  if (read.exported.archive == archive.settings.id) return officer;
  throw Error(Kind::mismatch,
              fmt::format("apply {}: it was exported from another archive", quoted(file)));
}

// The agents that the answer names, which must be valid agents of this archive.
std::vector<recovery::UsableAgent> named_agents(recovery::Archive& archive,
                                                const recovery::Trust& trust,
                                                const recovery::RekeyAnswer& answer) {
  std::set<Bytes> named;
  for (const auto& key : answer.keys) named.insert(key.to);
  recovery::ValidAgents valid = recovery::valid_agents(archive, trust, std::time(nullptr));
  std::erase_if(valid.agents, [&](const auto& agent) { return !named.contains(agent.sha256); });
  if (valid.agents.size() == named.size()) return std::move(valid.agents);
  throw Error(
      Kind::refused,
      fmt::format("give keys new agents: of {} that were wrapped to, {} are valid agents of "
                  "the archive{}",
                  named.size(), valid.agents.size(), valid.others))
      .hint("look at them with: hsmith kra list");
}

Outcome run(const Options& options, Context& context) {
  const RekeyAnswerFile read = read_rekey_answer_file(options.file);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  const recovery::Trust trust = trust_of(context, archive);
  const recovery::Officer& officer = check_export(archive, trust, read, options.file);
  check_origin(context, read, options.file);
  const auto to = named_agents(archive, trust, read.answer);
  if (context.options.plan) {
    return planned(
        {{Change::Kind::change, fmt::format("{}: up to {} keys get more agents",
                                            archive.store->name(), read.exported.keys.size())}});
  }
  const SealKey seal = open_seal_key(context, options.archive, archive.seal_certificate.get());
  Json agents = Json::array();
  for (const auto& agent : to) agents.push_back(hex(agent.sha256));
  recovery::Application applied;
  in_audit(context, archive.store->name(),
           {{"export", hex(recovery::sha256_of(read.answer.exported))},
            {"from", x509::certificate_sha256(read.exported.from.get())},
            {"to", agents}},
           [&] {
             applied = recovery::apply_rekey(
                 archive, read.exported, read.answer, to,
                 [&](X509* user) { return may_export(officer, user); }, seal.key,
                 std::time(nullptr));
           });
  remember_archive(context, archive);
  if (applied.others > 0) {
    context.warn(
        fmt::format("{} keys were wrapped to agents who have them from another answer: what they "
                    "have stays, and where it is wrong, hsmith archive add FILE --overwrite "
                    "encrypts the key anew",
                    applied.others));
  }
  Outcome outcome;
  outcome.data = {{"keys", applied.keys}, {"already", applied.already}, {"to", std::move(agents)}};
  outcome.text = fmt::format("keys with more agents: {}\nthat had them before: {}\n", applied.keys,
                             applied.already);
  for (const auto& agent : to)
    outcome.text += fmt::format("  {}\n", agent_text(agent.certificate.get()));
  add_failures(outcome, applied.failures, "give more agents to");
  return outcome;
}

}  // namespace

void add_archive_rekey_apply(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command.add_option("FILE", options->file, "What the agent wrapped").required();
  command.footer(
      "Examples:\n  hsmith archive rekey apply back.rekey\n"
      "  hsmith archive rekey apply back.rekey --archive sqlite:/srv/keys.db --json");
  command.callback([options, &context] {
    context.command = "archive rekey apply";
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
