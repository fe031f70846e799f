// hsmith chain install: intermediates and cross-certificates, so that chains can be made.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <tuple>

#include "cli/certificate_argument.h"
#include "cli/chain_store.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/installation.h"
#include "cli/key_output.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/chain.h"
#include "src/x509/name.h"

namespace hsmith::cli {
namespace {

constexpr std::size_t kMost = 100;  // of one command: a token holds few, and each is looked at

struct Given {
  ossl::Certificate certificate;
  x509::CertificateFacts facts;
};

std::string described(const x509::CertificateFacts& facts) {
  return fmt::format("serial {}, valid from {} until {}, sha256 {}", facts.serial,
                     rfc3339(facts.not_before), rfc3339(facts.not_after),
                     facts.sha256.substr(0, 16));
}

// One authority's key, certified by the same issuer: of such certificates the newest counts.
bool is_same_authority(const x509::CertificateFacts& a, const x509::CertificateFacts& b) {
  return a.subject == b.subject && a.key_sha256 == b.key_sha256 && a.issuer == b.issuer;
}

bool is_newer(const x509::CertificateFacts& a, const x509::CertificateFacts& b) {
  return std::pair(a.not_before, a.not_after) > std::pair(b.not_before, b.not_after);
}

// Throws refused for what is no intermediate; a root is only left out.
bool is_wanted(const Given& given, Context& context) {
  const std::string doing = fmt::format("install the certificate of {}", given.facts.subject);
  if (!given.facts.is_ca) {
    throw Error(Kind::refused, doing + ": it is not an authority's")
        .hint(
            "the certificate of a key here: hsmith request complete FILE, or hsmith cert install "
            "FILE");
  }
  check_usable(given.certificate.get(), given.facts);
  if (!x509::is_issued_by(given.certificate.get(), given.certificate.get())) return true;
  context.warn(
      fmt::format("{} is a root and is left out: roots are trusted by name, in [trust] "
                  "anchors or with --trust",
                  given.facts.subject));
  return false;
}

// The certificates of the files, each once; of one authority's the newest.
std::vector<Given> read_given(const std::vector<std::string>& files, Context& context) {
  std::vector<Given> all;
  std::size_t count = 0;
  for (ossl::Certificate& certificate : read_certificate_files(files)) {
    if (++count > kMost)
      throw Error(Kind::refused, fmt::format("chain install: more than {} certificates", kMost))
          .hint("give only those that are needed");
    Given given{nullptr, x509::certificate_facts(certificate.get())};
    given.certificate = std::move(certificate);
    if (!is_wanted(given, context)) continue;
    const auto twin = std::find_if(all.begin(), all.end(), [&](const Given& one) {
      return is_same_authority(one.facts, given.facts);
    });
    if (twin == all.end()) {
      all.push_back(std::move(given));
    } else if (is_newer(given.facts, twin->facts)) {
      std::swap(*twin, given);
    }
  }
  if (all.empty()) {
    throw Error(Kind::refused, "chain install: the files hold no intermediate certificate")
        .hint("a root goes into [trust] anchors of the configuration");
  }
  return all;
}

// One certificate that is to come, and what goes for it.
struct Job {
  const Given* given = nullptr;
  const ChainCertificate* there = nullptr;
  std::vector<const ChainCertificate*> retires;
  std::string label;
  Bytes id;
};

Job job_for(const Given& given, const std::vector<ChainCertificate>& present) {
  Job job;
  job.given = &given;
  for (const ChainCertificate& one : present) {
    if (!is_same_authority(one.facts, given.facts)) continue;
    const bool in_service = one.place != ChainPlace::retired;
    if (in_service && one.facts.sha256 == given.facts.sha256) {
      job.there = &one;
    } else if (in_service && is_newer(given.facts, one.facts)) {
      job.retires.push_back(&one);
    } else if (in_service) {
      throw Error(Kind::exists,
                  fmt::format("install the certificate of {}: a newer one is here: {}",
                              given.facts.subject, described(one.facts)))
          .hint(
              "to go back to the old one, remove the newer one first: hsmith chain remove "
              "--token LABEL " +
              shell_word(one.name))
          .candidates({one.name});
    }
  }
  job.id = ossl::key_identifier(x509::public_key_of(given.certificate.get()));
  return job;
}

// A new one has the label of the one whose place it takes.
void give_labels(std::vector<Job>& jobs, const tokens::Inventory& inventory) {
  std::set<std::string> taken;
  for (const auto& one : inventory.certificates) taken.insert(one.label);
  for (const auto& one : inventory.private_keys) taken.insert(one.label);
  for (Job& job : jobs) {
    for (const ChainCertificate* old : job.retires) {
      if (old->place == ChainPlace::token && job.label.empty()) job.label = old->object.label;
    }
    if (!job.label.empty()) continue;
    job.label = chain_label(job.given->certificate.get(), taken);
    taken.insert(job.label);
  }
}

// Its issuer by name must be its issuer by signature; an absent one is only told of.
void check_issuer(const Given& given, const std::vector<ossl::Certificate>& others,
                  Context& context) {
  bool named = false;
  for (const ossl::Certificate& other : others) {
    if (x509::is_issued_by(given.certificate.get(), other.get())) return;
    named = named || x509::names_issuer(given.certificate.get(), other.get());
  }
  if (named) {
    throw Error(Kind::mismatch,
                fmt::format("install the certificate of {}: its issuer {} did not sign it",
                            given.facts.subject, given.facts.issuer));
  }
  context.warn(fmt::format("the issuer of {} is not here, its signature was not checked: {}",
                           given.facts.subject, given.facts.issuer));
}

void check_issuers(const std::vector<Given>& all, const tokens::Inventory& inventory,
                   Context& context) {
  std::vector<ossl::Certificate> others = chain_pool(inventory, context);
  for (ossl::Certificate& anchor : read_anchors(context.config.trust_anchors))
    others.push_back(std::move(anchor));
  for (const Given& given : all) others.push_back(ossl::share(given.certificate.get()));
  for (const Given& given : all) check_issuer(given, others, context);
}

std::vector<Change> changes_of(const std::vector<Job>& jobs, const tokens::OpenToken& token) {
  std::vector<Change> changes;
  for (const Job& job : jobs) {
    if (job.there == nullptr) {
      const std::string uri =
          tokens::object_uri(token, job.label, job.id, tokens::ObjectType::cert);
      changes.push_back(
          {Change::Kind::create,
           fmt::format("{}: {}, {}", uri, job.given->facts.subject, described(job.given->facts))});
    }
    for (const ChainCertificate* old : job.retires) {
      changes.push_back(
          {Change::Kind::change,
           fmt::format("retire {}: {}, {}", old->name, old->facts.subject, described(old->facts))});
    }
  }
  return changes;
}

// The new one is there already: what fails now is finished by doctor.
void retire(const tokens::OpenToken& token, const ChainKept& kept, const ChainCertificate& old,
            const Context& context) {
  try {
    retire_chain_certificate(token, old, context);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{} is installed, but {} is not retired: {}", kept.name,
                                          old.name, error.what()))
        .ckr(error.ckr())
        .hint("finish it with: hsmith doctor --repair")
        .unfinished();
  }
}

ChainKept carry_out(const tokens::OpenToken& token, const Job& job, Context& context) {
  X509* certificate = job.given->certificate.get();
  if (job.there != nullptr && job.retires.empty()) return {job.there->place, job.there->name};
  Json facts{{"label", json_text(job.label)},
             {"id", hex(job.id)},
             {"certificate", hex(x509::certificate_der(certificate))},
             {"retires", Json::array()}};
  for (const ChainCertificate* old : job.retires) {
    facts["retires"].push_back(old->facts.sha256);
    context.warn(fmt::format("{} was re-issued: {} takes the place of {}, which is retired",
                             old->facts.subject, described(job.given->facts),
                             described(old->facts)));
  }
  return undertake(context, token.info, std::move(facts), [&](Undertaking&) {
    const ChainKept kept = job.there != nullptr ? ChainKept{job.there->place, job.there->name}
                                                : put_chain_certificate(token, certificate,
                                                                        job.label, job.id, context);
    for (const ChainCertificate* old : job.retires) retire(token, kept, *old, context);
    return kept;
  });
}

void tell(const Job& job, const ChainKept& kept, Outcome& outcome) {
  Json retired = Json::array();
  for (const ChainCertificate* old : job.retires) retired.push_back(old->facts.sha256);
  outcome.data["certificates"].push_back({{"subject", json_text(job.given->facts.subject)},
                                          {"sha256", job.given->facts.sha256},
                                          {"place", place_name(kept.place)},
                                          {"name", json_text(kept.name)},
                                          {"installed", job.there == nullptr},
                                          {"expires", rfc3339(job.given->facts.not_after)},
                                          {"retired", std::move(retired)}});
  outcome.text += fmt::format("{} {}\n", printable(kept.name),
                              job.there != nullptr              ? "is there already"
                              : kept.place == ChainPlace::token ? "is installed"
                                                                : "is kept in the state folder");
}

Outcome run(const std::vector<std::string>& files, Context& context) {
  const std::vector<Given> given = read_given(files, context);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Inventory inventory = inventory_for_change(token, context);
  const std::vector<ChainCertificate> present = chain_certificates(inventory, context);
  std::vector<Job> jobs;
  for (const Given& one : given) jobs.push_back(job_for(one, present));
  give_labels(jobs, inventory);
  check_issuers(given, inventory, context);
  if (context.options.plan) return planned(changes_of(jobs, token));
  Outcome outcome;
  outcome.data["certificates"] = Json::array();
  for (const Job& job : jobs) {
    tell(job, carry_out(token, job, context), outcome);
    // What cannot be read may be left of it.
    if (inventory.broken.empty()) end_earlier(context, token.info, job.given->certificate.get());
  }
  return outcome;
}

}  // namespace

void add_chain_install(Arguments& command, Context& context) {
  auto files = std::make_shared<std::vector<std::string>>();
  command.add_option("FILE", *files, "Intermediate and cross-certificates: PEM, DER, PKCS#7")
      .required();
  command.footer(
      "Examples:\n  hsmith chain install sub-ca.crt cross.crt\n"
      "  hsmith chain install bundle.p7b --token prod --plan");
  command.callback(
      [files, &context] { context.run = [files, &context] { return run(*files, context); }; });
}

}  // namespace hsmith::cli
