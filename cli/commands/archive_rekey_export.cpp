// hsmith archive rekey export: the encrypted content keys of the keys that one agent opens.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/agent_cards.h"
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
  std::string from;
  std::vector<std::string> to;
  std::string officer;
  std::string output;
};

// Old agents still decrypt; whoever was one has an archived key in the end. The certificate that is
// named is the first one.
recovery::RekeyFrom card_from(recovery::Archive& archive, const std::string& id) {
  AgentCards cards;
  for (const Bytes& agent : agents_of(archive)) card_of(cards, archive, agent);
  archive.store->each_key([&](const recovery::KeyRow& key) {
    for (const Bytes& agent : key.agents) card_of(cards, archive, agent);
  });
  recovery::RekeyFrom from;
  const auto& certificates = cards.cards[find_card(cards, id)].certificates;
  const auto named = std::find_if(certificates.begin(), certificates.end(),
                                  [&](const auto& its) { return is_named(its, id); });
  from.certificates.push_back(named->sha256);
  for (const auto& its : certificates) {
    if (&its != &*named) from.certificates.push_back(its.sha256);
  }
  for (const AgentCard& card : cards.cards) {
    const auto& its = card.certificates.front();
    if (!its.certificate) from.lost.push_back(its.sha256);
  }
  return from;
}

std::vector<recovery::UsableAgent> new_agents(const Options& options, recovery::Archive& archive,
                                              const recovery::Trust& trust, ByteView from) {
  std::vector<Bytes> wanted;
  for (const std::string& id : options.to)
    wanted.push_back(find_agent(archive, agents_of(archive), id));
  recovery::ValidAgents valid = recovery::valid_agents(archive, trust, std::time(nullptr));
  const auto old = recovery::agent_certificate(archive, from);
  std::erase_if(valid.agents, [&](const recovery::UsableAgent& agent) {
    if (wanted.empty() && old.certificate &&
        ossl::same_public_key(x509::public_key_of(agent.certificate.get()),
                              x509::public_key_of(old.certificate.get()))) {
      return true;  // its own card, with a renewed certificate
    }
    const bool asked = std::find(wanted.begin(), wanted.end(), agent.sha256) != wanted.end();
    return equal(agent.sha256, from) || (!wanted.empty() && !asked);
  });
  if (!valid.agents.empty() && (wanted.empty() || valid.agents.size() == wanted.size()))
    return std::move(valid.agents);
  throw Error(Kind::refused, fmt::format("give keys new agents: of those that are asked for {} are "
                                         "valid agents of the archive{}",
                                         valid.agents.size(), valid.others))
      .hint("look at them with: hsmith kra list; add one with: hsmith kra add CERT");
}

// What keeps keys out of the file that may be wanted in it.
std::vector<Error> failures_of(const recovery::RekeySelection& selection,
                               const recovery::Officer& officer) {
  std::vector<Error> failures;
  if (!selection.unknown.empty()) {
    failures.push_back(
        Error(Kind::mismatch, fmt::format("export content keys: of {} keys it is not known whether "
                                          "the card opens them: {}",
                                          selection.unknown.size(), selection.unknown.front()))
            .hint("look at all of it with: hsmith archive verify"));
  }
  if (selection.exported.keys.empty() && selection.left_out > 0) {
    failures.push_back(
        Error(
            Kind::refused,
            fmt::format("export content keys: the officer may export the keys of {} only, and the "
                        "{} that this card opens are others' (CERTSRV_E_RESTRICTEDOFFICER "
                        "0x80094009)",
                        quoted(officer.subjects), selection.left_out))
            .hint("another officer may: hsmith archive officer list"));
  }
  return failures;
}

Outcome outcome_of(const Options& options, const recovery::RekeySelection& selection,
                   std::vector<Error> failures) {
  const recovery::RekeyExport& exported = selection.exported;
  Outcome outcome;
  outcome.data = {{"keys", exported.keys.size()},
                  {"left_out", selection.left_out},
                  {"left", selection.left},
                  {"from", x509::certificate_sha256(exported.from.get())},
                  {"to", Json::array()}};
  outcome.failures = std::move(failures);
  if (exported.keys.empty()) {
    if (outcome.failures.empty())
      outcome.text = "no keys: the new agents open all that this one opens\n";
    return outcome;
  }
  outcome.data["file"] = json_text(options.output);
  outcome.text = fmt::format("{}: {} keys from {}\n", printable(options.output),
                             exported.keys.size(), agent_text(exported.from.get()));
  for (const auto& agent : exported.to) {
    outcome.data["to"].push_back(x509::certificate_sha256(agent.certificate.get()));
    outcome.text += fmt::format("  for {}\n", agent_text(agent.certificate.get()));
  }
  if (selection.left_out > 0)
    outcome.text +=
        fmt::format("left out, of others than this officer's: {}\n", selection.left_out);
  if (selection.left > 0)
    outcome.text += fmt::format("left for another file: {}\n", selection.left);
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-") throw Error(Kind::usage, "archive rekey export -o -: name a file");
  check_output(options.output, context.replace());
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const recovery::Trust trust = trust_of(context, archive);
  const recovery::RekeyFrom from = card_from(archive, options.from);
  auto to = new_agents(options, archive, trust, from.certificates.front());
  const OfficerKey officer = open_officer(context, options.officer);
  const recovery::Officer& known = officer_of(archive, trust, officer.certificate.get());
  const recovery::RekeySelection selection = recovery::select_for_rekey(
      archive, from, std::move(to), [&](X509* user) { return may_export(known, user); });
  Outcome outcome = outcome_of(options, selection, failures_of(selection, known));
  if (selection.exported.keys.empty()) return outcome;
  if (context.options.plan) {
    Outcome plan = planned({{Change::Kind::create, options.output}});
    plan.failures = std::move(outcome.failures);
    return plan;
  }
  const Json facts{{"from", x509::certificate_sha256(selection.exported.from.get())},
                   {"keys", selection.exported.keys.size()},
                   {"officer", x509::certificate_sha256(officer.certificate.get())},
                   {"file", json_text(options.output)}};
  in_audit(context, archive.store->name(), facts, [&] {
    const std::string text = recovery::rekey_export_text(selection.exported);
    const Bytes file = recovery::sign_file(as_bytes(text), officer.signer());
    const Bytes& agent = from.certificates.front();
    keep_challenge(context, file, selection.number, {agent, {agent}});
    write_file(options.output, file, kPrivateFile, context.replace());
  });
  return outcome;
}

}  // namespace

void add_archive_rekey_export(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option("--from", options->from, "The agent whose card shall do it, by id or subject")
      .required();
  command
      .add_option("--to", options->to,
                  "New agents, by id or subject: only keys that they cannot open yet (default: all "
                  "valid agents of the archive)")
      .one_each();
  command.add_option("--officer", options->officer, "The officer's key, on its token").required();
  command.add_option("-o,--output", options->output, "File to write, for the agent").required();
  command.footer(
      "Examples:\n  hsmith archive rekey export --from 1b4ab7c0d1e2f304 --officer officer -o "
      "out.rekey\n"
      "  hsmith archive rekey export --from 'CN=Agent 1' --to 'CN=Agent 3' --officer officer -o "
      "out.rekey");
  command.callback([options, &context] {
    context.command = "archive rekey export";
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
