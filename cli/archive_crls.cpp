#include "cli/archive_crls.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/kept_crls.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/crl.h"

namespace hsmith::cli {
namespace {

constexpr int kSecurityLevel = 1;  // as paths to the agents are verified

std::string taking(const x509::CrlFacts& facts, const std::string& file) {
  return fmt::format("take the revocation list of {} in {}", facts.issuer, quoted(file));
}

void check_list(X509_CRL* crl, const recovery::Trust& trust, const std::string& file,
                Context& context) {
  const std::string defect = x509::crl_defect(crl, kSecurityLevel);
  if (!defect.empty())
    throw Error(Kind::malformed,
                fmt::format("take the revocation list in {}: {}", quoted(file), defect));
  const x509::CrlFacts facts = x509::crl_facts(crl);
  if (!recovery::is_signed_by_any(crl, trust)) {
    throw Error(Kind::mismatch, taking(facts, file) + ": none of the archive's anchors signed it")
        .hint("lists of authorities that are no anchors are named with [trust] crls");
  }
  const std::time_t now = std::time(nullptr);
  if (facts.this_update > now) {
    throw Error(Kind::refused, fmt::format("{}: it is not valid before {}", taking(facts, file),
                                           rfc3339(facts.this_update)))
        .hint("is this machine's clock right?");
  }
  if (*facts.next_update <= now) {
    context.warn(
        fmt::format("the revocation list of {} is out of date since {}: it decides on no "
                    "agent",
                    facts.issuer, rfc3339(*facts.next_update)));
  }
}

// Lists of an authority's old and new key stand side by side, also where they do not name the key.
bool have_one_signer(X509_CRL* a, X509_CRL* b, const recovery::Trust& trust) {
  const auto signed_both = [&](const ossl::Certificate& one) {
    return x509::signed_crl(a, one.get()) && x509::signed_crl(b, one.get());
  };
  return std::any_of(trust.anchors.begin(), trust.anchors.end(), signed_both) ||
         std::any_of(trust.untrusted.begin(), trust.untrusted.end(), signed_both);
}

// Whoever can offer an older list could hide what a newer one says.
void refuse_step_back(X509_CRL* crl, X509_CRL* there, const std::string& file) {
  const x509::CrlFacts facts = x509::crl_facts(crl);
  const x509::CrlFacts kept = x509::crl_facts(there);
  if (kept.this_update <= facts.this_update) return;
  throw Error(Kind::refused,
              fmt::format("{} of {}: the archive has a newer one, of {}", taking(facts, file),
                          rfc3339(facts.this_update), rfc3339(kept.this_update)))
      .hint("get the newest one of this authority");
}

}  // namespace

std::vector<ArchivedCrl> archived_crls(recovery::Archive& archive) {
  std::vector<ArchivedCrl> lists;
  for (const Bytes& sha256 : archive.settings.crls) {
    try {
      lists.push_back({sha256, x509::crl_from_der(recovery::checked_object(archive, sha256),
                                                  "the archive's revocation list")});
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
    }
  }
  return lists;
}

std::vector<ArchivedCrl> take_crls(const std::string& file, const recovery::Trust& trust,
                                   std::vector<ArchivedCrl> there, recovery::ArchiveChange& change,
                                   Context& context) {
  for (ossl::Crl& crl : read_crl_file(file)) {
    check_list(crl.get(), trust, file, context);
    const auto place = place_of({}, crl.get());
    const auto other = std::find_if(there.begin(), there.end(), [&](const ArchivedCrl& list) {
      return place_of({}, list.crl.get()) == place &&
             have_one_signer(list.crl.get(), crl.get(), trust);
    });
    if (other != there.end()) {
      refuse_step_back(crl.get(), other->crl.get(), file);
      std::erase(change.objects, x509::crl_der(other->crl.get()));  // the same change's earlier one
      there.erase(other);
    }
    change.objects.push_back(x509::crl_der(crl.get()));
    there.push_back({recovery::sha256_of(change.objects.back()), std::move(crl)});
  }
  change.settings->crls.clear();
  for (const ArchivedCrl& list : there) change.settings->crls.push_back(list.sha256);
  return there;
}

}  // namespace hsmith::cli
