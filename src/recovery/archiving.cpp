#include "src/recovery/archiving.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/recovery/agent_certificates.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key.h"
#include "src/recovery/private_key_blob.h"
#include "src/recovery/seal.h"
#include "src/recovery/selection.h"
#include "src/recovery/valid_agents.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"
#include "src/x509/path.h"

namespace hsmith::recovery {
namespace {

bool has(const std::vector<std::string>& list, const char* word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<Bytes> hashes_of(const std::vector<ossl::Certificate>& certificates) {
  std::vector<Bytes> hashes;
  for (const auto& certificate : certificates)
    hashes.push_back(sha256_of(x509::certificate_der(certificate.get())));
  return hashes;
}

bool only_signs(const EVP_PKEY* key) {
  static constexpr std::array<const char*, 4> kTypes{"RSA-PSS", "DSA", "ED25519", "ED448"};
  return std::any_of(kTypes.begin(), kTypes.end(),
                     [&](const char* type) { return EVP_PKEY_is_a(key, type) == 1; });
}

// Why there is no form to archive a key in; "" when there is.
std::string unwritable_because(const EVP_PKEY* key) {
  try {
    archived_form(key);
    return "";
  } catch (const Error& error) {
    if (error.kind() != Kind::unsupported) throw;
    return error.what();
  }
}

KeyRow row_of(const Candidate& candidate, const std::vector<UsableAgent>& agents,
              const std::vector<std::size_t>& chosen) {
  std::vector<EnvelopeTo> to;
  KeyRow row;
  for (const std::size_t index : chosen) {
    to.push_back({agents[index].certificate.get(), agents[index].ability});
    row.agents.push_back(agents[index].sha256);
  }
  std::sort(row.agents.begin(), row.agents.end());
  const Secret plaintext = archived_form(candidate.key.get());
  row.blob = make_envelope(plaintext.reveal(), to);
  if (row.blob.size() > kMostBlob) throw Error(Kind::refused, "archive a key: it is too large");
  row.certificate = sha256_of(x509::certificate_der(candidate.certificate.get()));
  row.chain = hashes_of(candidate.chain);
  row.origin = candidate.foreign ? "foreign" : "own";
  return row;
}

// The row under a number, as it is now; nullopt where it cannot be read.
std::optional<KeyRow> readable_row(Archive& archive, std::int64_t id) {
  try {
    return archive.store->key(id);
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    return std::nullopt;
  }
}

// Whether the archive can do without this row: its key stands whole under another number. The first
// archives' seals do not say whose a row is; what has no certificate in the archive is no key's.
bool is_whole_elsewhere(Archive& archive, const KeyRow& row,
                        const std::map<Bytes, SealedRow>& sealed) {
  const auto its = sealed.find(row.certificate);
  if (its == sealed.end()) {
    if (!archive.store->object(row.certificate)) return true;
    const auto whole = archived_key(archive, row.certificate).row;
    return whole && whole->id != row.id;
  }
  const auto own = readable_row(archive, its->second.id);
  return own && fingerprint(*own) == its->second.fingerprint;
}

// False where somebody changed what a key is found by, which no seal covers.
bool is_found_by(Archive& archive, std::int64_t id, const std::vector<Term>& terms) {
  try {
    std::vector<Term> there = archive.store->terms(id);
    std::sort(there.begin(), there.end());
    return there == terms;
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    return false;
  }
}

// What stands under a damaged key's number may be another key's row, whose number somebody changed,
// and all that there is of it: nothing destroys an archived key.
void refuse_to_destroy(Archive& archive, const Bytes& certificate, std::int64_t number,
                       const std::map<Bytes, SealedRow>& sealed) {
  const auto there = readable_row(archive, number);
  if (!there || equal(there->certificate, certificate) ||
      is_whole_elsewhere(archive, *there, sealed)) {
    return;
  }
  throw Error(Kind::mismatch,
              fmt::format("archive a key anew: under its number {} stands the key of another "
                          "certificate, {}, which is not whole elsewhere and would be lost",
                          number, hex(there->certificate)))
      .hint(
          "archive that key anew first: hsmith archive add FILE --overwrite; where nobody has its "
          "file, bring a backup back: hsmith archive restore FILE");
}

}  // namespace

bool is_for_signatures_only(const std::vector<std::string>& key_usage,
                            const std::vector<std::string>& purposes) {
  if (!key_usage.empty() && !has(key_usage, "keyEncipherment") &&
      !has(key_usage, "dataEncipherment") && !has(key_usage, "keyAgreement")) {
    return true;
  }
  const auto signs_only = [](const std::string& purpose) {
    return purpose == "codeSigning" || purpose == "timeStamping" || purpose == "OCSPSigning";
  };
  return !purposes.empty() && std::all_of(purposes.begin(), purposes.end(), signs_only);
}

bool is_for_signatures_only(X509* certificate) {
  const auto extensions = x509::certificate_facts(certificate).extensions;
  return is_for_signatures_only(extensions.key_usage, extensions.extended_key_usage);
}

// Old certificates count as they did while they were valid.
bool leads_to_anchor(X509* certificate, const std::vector<ossl::Certificate>& chain,
                     const Trust& trust, std::time_t now) {
  const auto facts = x509::certificate_facts(certificate);
  x509::PathOptions options;
  options.time = std::clamp(now, facts.not_before, facts.not_after);
  options.security_level = 0;
  std::vector<ossl::Certificate> untrusted;
  for (const auto& one : chain) untrusted.push_back(ossl::share(one.get()));
  for (const auto& one : trust.untrusted) untrusted.push_back(ossl::share(one.get()));
  return x509::verify_path(certificate, untrusted, trust.anchors, options).ok;
}

bool is_archived(Archive& archive, X509* certificate) {
  const Archived there = archived_key(archive, sha256_of(x509::certificate_der(certificate)));
  if (there.damaged) {
    throw Error(Kind::mismatch,
                fmt::format("look for the key of {} in the archive: its row is not what was sealed",
                            x509::certificate_facts(certificate).subject))
        .hint("look at all of it with: hsmith archive verify");
  }
  return there.row.has_value();
}

Judgement judge(Archive& archive, const Trust& trust, Candidate& candidate, bool allow_foreign,
                std::time_t now) {
  X509* certificate = candidate.certificate.get();
  EVP_PKEY* public_key = x509::public_key_of(certificate);
  if (only_signs(public_key)) return {Fate::signature_only, "keys of its type only sign"};
  if (is_for_signatures_only(certificate))
    return {Fate::signature_only,
            "its certificate is for signatures only, and such keys are never archived"};
  if (EVP_PKEY_is_a(public_key, "RSA") != 1 && EVP_PKEY_is_a(public_key, "EC") != 1)
    return {Fate::refused, "keys of its type cannot be archived; RSA and EC keys can"};
  if (!candidate.again) {
    const Archived there = archived_key(archive, sha256_of(x509::certificate_der(certificate)));
    if (there.damaged)
      return {Fate::refused,
              "it was archived, and its row is no longer what was sealed; --overwrite archives it "
              "anew"};
    if (there.row) return {Fate::already, "it is in the archive already"};
  }
  candidate.foreign = !leads_to_anchor(certificate, candidate.chain, trust, now);
  if (candidate.foreign && (!allow_foreign || !archive.settings.allow_foreign)) {
    return {Fate::foreign,
            "its certificate leads to no anchor of the archive (CERT_E_ISSUERCHAINING "
            "0x800B0107); it takes the setting allow-foreign and --foreign"};
  }
  const std::string problem = pair_problem(candidate.key.get(), public_key);
  if (!problem.empty()) return {Fate::refused, "the key does not fit its certificate: " + problem};
  const std::string unwritable = unwritable_because(candidate.key.get());
  if (!unwritable.empty()) return {Fate::refused, unwritable};
  return {};
}

std::vector<UsableAgent> usable_agents(Archive& archive, const Trust& trust, std::time_t now) {
  ValidAgents valid = valid_agents(archive, trust, now);
  const auto needed = static_cast<std::size_t>(archive.settings.kras_per_key);
  if (archive.settings.agents.empty()) {
    throw Error(Kind::refused,
                "archive a key: the archive has no recovery agents "
                "(CERTSRV_E_KEY_ARCHIVAL_NOT_CONFIGURED 0x8009400A)")
        .hint("add agents with: hsmith kra add CERT");
  }
  if (valid.agents.size() >= needed) return std::move(valid.agents);
  throw Error(Kind::refused,
              fmt::format("archive a key: {} recovery agents are valid, {} are needed "
                          "(CERTSRV_E_NO_VALID_KRA 0x8009400B){}",
                          valid.agents.size(), needed, valid.others))
      .hint("look at them with: hsmith kra list");
}

std::set<std::size_t> archive_keys(Archive& archive, const std::vector<Candidate>& keys,
                                   const std::vector<UsableAgent>& agents,
                                   const std::shared_ptr<ossl::RemoteKey>& seal_key,
                                   std::time_t now) {
  const auto per_key = static_cast<std::size_t>(archive.settings.kras_per_key);
  const Selection selection = archive.settings.selection;
  const auto change = archive.store->change();
  ArchiveChange what;
  std::optional<std::map<Bytes, SealedRow>> sealed;
  std::set<std::size_t> already;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Candidate& candidate = keys[i];
    Bytes der = x509::certificate_der(candidate.certificate.get());
    // Another process may have been first.
    Archived there = archived_key(archive, sha256_of(der));
    if (there.row && !candidate.again) {
      already.insert(i);
      continue;
    }
    const std::int64_t cursor = change->take_cursor(cursor_step(selection, per_key));
    KeyRow row =
        row_of(candidate, agents, select_agents(selection, agents.size(), per_key, cursor));
    what.objects.push_back(std::move(der));
    const auto& terms =
        what.terms.emplace(row.certificate, terms_of(candidate.certificate.get())).first->second;
    if (there.row) {
      there.row->blob = std::move(row.blob);
      there.row->agents = std::move(row.agents);
      const bool is_sound = is_found_by(archive, there.row->id, terms);
      (is_sound ? what.rewrapped : what.restored).push_back(std::move(*there.row));
      continue;
    }
    if (!sealed && there.damaged) sealed = sealed_rows(archive);
    const bool is_known = sealed && sealed->contains(row.certificate);
    if (is_known) {
      row.id = sealed->at(row.certificate).id;
      refuse_to_destroy(archive, row.certificate, row.id, *sealed);
    }
    (is_known ? what.restored : what.keys).push_back(std::move(row));
    for (const auto& link : candidate.chain)
      what.objects.push_back(x509::certificate_der(link.get()));
  }
  if (already.size() < keys.size()) commit_change(archive, *change, std::move(what), seal_key, now);
  return already;
}

Trust trust_of(Archive& archive) {
  Trust trust;
  KnownCertificates anchors = known_certificates(archive, archive.settings.anchors);
  trust.anchors = std::move(anchors.certificates);
  trust.problems = std::move(anchors.problems);
  for (const Bytes& hash : archive.settings.crls) {
    try {
      trust.crls.push_back(x509::crl_from_der(checked_object(archive, hash), "the archive's CRL"));
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
      trust.problems.emplace_back(error.what());
    }
  }
  return trust;
}

}  // namespace hsmith::recovery
