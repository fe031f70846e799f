// hsmith kra add: a recovery agent, after its certificate was checked and its card tried out.
#include <ctime>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string certificate;
  std::optional<std::string> probe;
};

// What the card does, tried out. The module is closed again: the seal key may be on another token.
std::vector<std::string> probe(Context& context, const std::string& name, X509* certificate) {
  const tokens::Selector selector = tokens::parse_selector(name);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  return recovery::probe_agent(certificate, *tokens::remote_key(token, key));
}

void refuse_unusable(const recovery::AgentState& state, X509* certificate) {
  if (state.usable()) return;
  throw Error(Kind::refused,
              fmt::format("add the agent {}: its certificate is {}: {}",
                          x509::certificate_facts(certificate).subject, state.state, state.cause))
      .hint("look at it with: hsmith kra check");
}

// The archive may hold nobody's own key: who has it would open what only agents shall open.
void refuse_key_of(recovery::Archive& archive, X509* certificate) {
  if (ossl::same_public_key(x509::public_key_of(certificate),
                            x509::public_key_of(archive.seal_certificate.get()))) {
    throw Error(Kind::refused, "add the agent: its key is the archive's seal key");
  }
  for (const auto& officer : archive.settings.officers) {
    if (ossl::same_public_key(
            x509::public_key_of(certificate),
            x509::public_key_of(
                recovery::checked_certificate(archive, officer.certificate).get()))) {
      throw Error(Kind::refused,
                  "add the agent: its key is an officer's, and nobody may be both "
                  "(CERTSRV_E_ROLECONFLICT 0x80094008)");
    }
  }
}

Outcome run(const Options& options, Context& context) {
  const auto certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  const Bytes der = x509::certificate_der(certificate.get());
  const Bytes sha256 = recovery::sha256_of(der);
  for (const auto& agent : archive.settings.agents) {
    if (equal(agent.certificate, sha256))
      throw Error(Kind::exists, "add the agent: it is an agent of this archive already");
  }
  const auto state =
      recovery::agent_state(certificate.get(), trust_of(context, archive), std::time(nullptr));
  refuse_unusable(state, certificate.get());
  refuse_key_of(archive, certificate.get());
  std::vector<std::string> abilities{recovery::kPkcs1};
  if (options.probe) {
    abilities = probe(context, *options.probe, certificate.get());
  } else {
    context.warn("the agent's card was not tried out: RSA PKCS#1 v1.5 is assumed (--probe KEY)");
  }
  if (context.options.plan) {
    return planned({{Change::Kind::change,
                     fmt::format("{}: agent {} comes in", archive.store->name(), hex(sha256))}});
  }
  recovery::ArchiveChange change;
  change.objects.push_back(der);
  change.settings = archive.settings;
  change.settings->agents.push_back({sha256, abilities});
  change_settings(context, options.archive, archive, std::move(change), {{"agent", hex(sha256)}});
  Outcome outcome;
  outcome.data = agent_json(certificate.get(), abilities, state);
  outcome.text =
      fmt::format("{}: agent {}, {}\n", x509::certificate_facts(certificate.get()).subject,
                  hex(sha256).substr(0, 16), fmt::join(abilities, ", "));
  return outcome;
}

}  // namespace

void add_kra_add(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command.add_option("CERT", options->certificate, "The agent's certificate, a file").required();
  command.add_option("--probe", options->probe,
                     "The agent's key on its card, as a URI: what the card can do is tried out");
  command.footer(
      "Examples:\n  hsmith kra add agent.crt --probe 'pkcs11:token=agent;object=kra'\n"
      "  hsmith kra add agent.crt --archive sqlite:/srv/keys.db");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
