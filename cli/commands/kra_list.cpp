// hsmith kra list: the recovery agents with their states and abilities.
#include <ctime>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/signed_file.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string published;
};

std::string until(const recovery::AgentCertificate& agent) {
  if (!agent.certificate) return "";
  return rfc3339(x509::certificate_facts(agent.certificate.get()).not_after);
}

void refuse_nothing(const recovery::Archive& archive, const std::string& pem) {
  if (!pem.empty()) return;
  throw Error(Kind::refused,
              fmt::format("write the agents of {}: none is valid", quoted(archive.store->name())))
      .hint("look at them with: hsmith kra list");
}

// The certificates of the valid agents in PEM, signed by the seal key: for others who encrypt to
// them.
Outcome publish(const Options& options, recovery::Archive& archive, const std::string& pem,
                Outcome listed, Context& context) {
  refuse_nothing(archive, pem);
  X509* certificate = archive.seal_certificate.get();
  const SealKey seal = open_seal_key(context, options.archive, certificate);
  if (context.options.plan) return planned({{Change::Kind::create, options.published}});
  in_audit(context, archive.store->name(), {{"file", json_text(options.published)}}, [&] {
    write_file(options.published, recovery::sign_file(as_bytes(pem), {seal.key, certificate}),
               kPublicFile, context.replace());
  });
  listed.data["published"] = json_text(options.published);
  listed.text += fmt::format("{}: the valid ones, signed by {}\n", printable(options.published),
                             x509::certificate_facts(certificate).subject);
  return listed;
}

Outcome run(const Options& options, Context& context) {
  if (options.published == "-") throw Error(Kind::usage, "kra list --published -: name a file");
  if (!options.published.empty()) check_output(options.published, context.replace());
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const recovery::Trust trust = trust_of(context, archive);
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  std::string valid;  // PEM
  for (const auto& agent : archive.settings.agents) {
    const auto its = recovery::agent_certificate(archive, agent.certificate);
    const auto state = recovery::agent_state(its, trust, std::time(nullptr));
    outcome.data["agents"].push_back(agent_json(its, agent.abilities, state));
    if (state.usable()) valid += x509::certificate_pem(its.certificate.get());
    rows.push_back({hex(agent.certificate).substr(0, 16), recovery::name_of(its), until(its),
                    state.cause.empty() ? state.state : state.state + ": " + state.cause,
                    fmt::format("{}", fmt::join(agent.abilities, ","))});
  }
  outcome.text = table({"ID", "SUBJECT", "UNTIL", "STATE", "ABILITIES"}, rows);
  if (options.published.empty()) return outcome;
  return publish(options, archive, valid, std::move(outcome), context);
}

}  // namespace

void add_kra_list(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command.add_option("--published", options->published,
                     "File to write: the certificates of the valid agents (PEM) in a CMS message "
                     "that the seal key signs");
  command.footer("Examples:\n  hsmith kra list\n  hsmith kra list --published agents.p7m");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
