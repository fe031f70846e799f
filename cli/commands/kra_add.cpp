// hsmith kra add: a recovery agent, after its certificate was checked and its card tried out.
#include <ctime>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/agents.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string certificate;
  std::optional<std::string> probe;
  std::optional<std::string> thumbprint;
};

// Typed by hand from another source than the file, as certutil asks for it: keys must not be
// encrypted to somebody who slipped in a certificate of his own.
void confirm_thumbprint(const std::string& text, X509* certificate) {
  const auto start = thumbprint_start(text);
  if (!start) {
    throw Error(Kind::usage, fmt::format("--confirm-thumbprint {}: expected the first 8 digits of "
                                         "the certificate's SHA-1 or SHA-256, or more",
                                         quoted(text)));
  }
  if (has_thumbprint(certificate, *start)) return;
  throw Error(Kind::refused,
              fmt::format("add the agent {}: neither thumbprint of its certificate starts with {}",
                          x509::certificate_facts(certificate).subject, *start))
      .hint("is it the right file? hsmith cert show FILE");
}

constexpr int kMostBits = 4096;

void warn_of_large_key(X509* certificate, Context& context) {
  const auto facts = x509::certificate_facts(certificate);
  if (facts.key_bits <= kMostBits) return;
  context.warn(
      fmt::format("{} has a key of {} bits: archiving and recovering take long; 2048 to "
                  "{} are enough",
                  facts.subject, facts.key_bits, kMostBits));
}

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
      .hint("look at it with: hsmith kra check CERT");
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

// A renewed certificate is of the same subject, and ends later.
bool renews(X509* certificate, X509* old) {
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_subject_name(old)) == 0 &&
         x509::certificate_facts(certificate).not_after > x509::certificate_facts(old).not_after;
}

// The agent whose renewed certificate this is; nullopt when nobody has its key. Two agents with one
// key would count one card twice: lost once, it would take keys along that seem to have another.
std::optional<recovery::Agent> renewed_agent(recovery::Archive& archive, X509* certificate) {
  for (const auto& agent : archive.settings.agents) {
    const auto its = recovery::agent_certificate(archive, agent.certificate);
    if (!its.certificate || !ossl::same_public_key(x509::public_key_of(certificate),
                                                   x509::public_key_of(its.certificate.get()))) {
      continue;
    }
    if (renews(certificate, its.certificate.get())) return agent;
    throw Error(Kind::exists,
                fmt::format("add the agent {}: the agent {} has the same key, and this is no "
                            "renewed certificate of it",
                            x509::certificate_facts(certificate).subject, agent_text(its)))
        .hint(fmt::format("hsmith kra remove {} --archive {}", hex(agent.certificate).substr(0, 16),
                          shell_word(archive.store->name())));
  }
  return std::nullopt;
}

// Blobs name their agents by issuer and serial number: of two with one such name, each would be
// given what is encrypted to the other.
void refuse_name_of_another(recovery::Archive& archive, X509* certificate, ByteView sha256) {
  std::vector<std::string> problems;
  for (const Bytes& agent : agents_ever(archive, problems)) {
    const auto its = recovery::agent_certificate(archive, agent);
    if (equal(agent, sha256) || !its.certificate ||
        X509_issuer_and_serial_cmp(certificate, its.certificate.get()) != 0) {
      continue;
    }
    throw Error(Kind::exists,
                fmt::format("add the agent {}: the agent {} has the same issuer and serial number, "
                            "and archived keys name their agents by these",
                            x509::certificate_facts(certificate).subject, agent_text(its)))
        .hint("have the certificate issued again, with a serial number of its own");
  }
}

// What the card does: tried out, or known from before its certificate was renewed.
std::vector<std::string> abilities_of(const Options& options, Context& context, X509* certificate,
                                      const std::optional<recovery::Agent>& renewed) {
  if (options.probe) return probe(context, *options.probe, certificate);
  if (renewed) return renewed->abilities;
  context.warn("the agent's card was not tried out: RSA PKCS#1 v1.5 is assumed (--probe KEY)");
  return {recovery::kPkcs1};
}

Outcome outcome_of(const recovery::Agent& agent, X509* certificate,
                   const recovery::AgentState& state,
                   const std::optional<recovery::Agent>& renewed) {
  Outcome outcome;
  outcome.data = agent_json(certificate, agent.abilities, state);
  if (renewed) outcome.data["replaces"] = hex(renewed->certificate);
  outcome.text =
      fmt::format("{}: agent {}, {}{}\n", x509::certificate_facts(certificate).subject,
                  hex(agent.certificate).substr(0, 16), fmt::join(agent.abilities, ", "),
                  renewed ? ", in the place of " + hex(renewed->certificate).substr(0, 16) : "");
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  const auto certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  if (options.thumbprint) confirm_thumbprint(*options.thumbprint, certificate.get());
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
  refuse_name_of_another(archive, certificate.get(), sha256);
  const auto renewed = renewed_agent(archive, certificate.get());
  const recovery::Agent agent{sha256, abilities_of(options, context, certificate.get(), renewed)};
  recovery::ArchiveChange change;
  change.objects.push_back(der);
  change.settings = archive.settings;
  auto& agents = change.settings->agents;
  Json facts{{"agent", hex(sha256)}};
  if (renewed) {
    std::erase_if(agents, [&](const auto& a) { return a.certificate == renewed->certificate; });
    facts["replaces"] = hex(renewed->certificate);
  }
  agents.push_back(agent);
  warn_of_large_key(certificate.get(), context);
  warn_of_groups(*change.settings, context);
  if (context.options.plan) {
    return planned(
        {{Change::Kind::change,
          fmt::format("{}: agent {} comes in{}", archive.store->name(), hex(sha256),
                      renewed ? ", in the place of " + hex(renewed->certificate) : "")}});
  }
  change_settings(context, options.archive, archive, std::move(change), facts);
  return outcome_of(agent, certificate.get(), state, renewed);
}

}  // namespace

void add_kra_add(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command.add_option("CERT", options->certificate, "The agent's certificate, a file").required();
  command.add_option("--probe", options->probe,
                     "The agent's key on its card, as a URI: what the card can do is tried out");
  command.add_option("--confirm-thumbprint", options->thumbprint,
                     "First 8 digits or more of the certificate's SHA-1 or SHA-256, from a source "
                     "that is to be trusted: another certificate is refused");
  command.footer(
      "Examples:\n  hsmith kra add agent.crt --probe 'pkcs11:token=agent;object=kra'\n"
      "  hsmith kra add agent.crt --archive sqlite:/srv/keys.db");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
