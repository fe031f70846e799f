#include "src/x509/crl.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/cms.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/kind.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

using Cms = std::unique_ptr<CMS_ContentInfo, ossl::Deleter<CMS_ContentInfo_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, ossl::Deleter<ASN1_INTEGER_free>>;
using Scope = std::unique_ptr<ISSUING_DIST_POINT, ossl::Deleter<ISSUING_DIST_POINT_free>>;
using Lists = std::vector<ossl::Crl>;

constexpr char kExpected[] = "a certificate revocation list";

[[noreturn]] void refuse(std::string_view input, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read {}: {}", input, cause));
}

void add_from_pkcs7(ByteView der, std::string_view input, Lists& found) {
  const unsigned char* at = der.data();
  const Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  if (cms == nullptr || at != der.data() + der.size()) {
    ossl::clear_errors();
    refuse(input, "the PKCS#7 file is damaged");
  }
  const ossl::CrlStack stack(CMS_get1_crls(cms.get()));
  ossl::clear_errors();
  const int count = stack == nullptr ? 0 : sk_X509_CRL_num(stack.get());
  if (count == 0) refuse(input, "the PKCS#7 file holds no revocation list");
  for (int i = 0; i < count; ++i) found.push_back(ossl::share(sk_X509_CRL_value(stack.get(), i)));
}

std::time_t time_of(const ASN1_TIME* time, std::string_view what) {
  std::tm utc{};
  const bool readable = time != nullptr && ASN1_TIME_to_tm(time, &utc) == 1;
  ossl::check(readable, fmt::format("read the time {} of the revocation list", what),
              Kind::malformed);
  return timegm(&utc);
}

// An extension of a list; null when it is absent. Throws malformed when it is damaged or there
// more than once.
template <typename Handle>
Handle extension_of(const X509_CRL* crl, int nid) {
  int state = 0;
  Handle value(
      static_cast<typename Handle::pointer>(X509_CRL_get_ext_d2i(crl, nid, &state, nullptr)));
  ossl::clear_errors();
  if (value == nullptr && state != -1) {
    throw Error(Kind::malformed, fmt::format("read the revocation list: its {} is damaged or there "
                                             "more than once",
                                             OBJ_nid2sn(nid)));
  }
  return value;
}

std::string number_of(const X509_CRL* crl, int nid) {
  const auto number = extension_of<Integer>(crl, nid);
  if (number == nullptr) return "";
  const ASN1_INTEGER* value = number.get();
  return hex({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
}

std::string scope_of(const ISSUING_DIST_POINT* scope) {
  if (scope == nullptr) return "all";
  if (scope->onlyuser > 0) return "users";
  if (scope->onlyCA > 0) return "authorities";
  return scope->onlyattr > 0 ? "attributes" : "all";
}

const X509_ALGOR* signature_of(const X509_CRL* crl) {
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(crl, nullptr, &algorithm);
  return algorithm;
}

// RFC 5280, 4.2: never more than once. `what` is "list" or "entry".
std::string extension_defect(const STACK_OF(X509_EXTENSION) * extensions,
                             const std::set<int>& known, std::string_view what) {
  std::set<std::string> seen;
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, i);
    const ASN1_OBJECT* object = X509_EXTENSION_get_object(extension);
    const std::string oid = oid_text(object);
    if (!seen.insert(oid).second) {
      return fmt::format("its {} has the extension {} twice", what, oid);
    }
    if (X509_EXTENSION_get_critical(extension) == 1 && known.count(OBJ_obj2nid(object)) == 0) {
      return fmt::format("its {} has the critical extension {}, which is not known", what, oid);
    }
  }
  return "";
}

std::string entries_defect(X509_CRL* crl, bool delta) {
  const STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(crl);
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(entries, i);
    const auto* extensions = X509_REVOKED_get0_extensions(entry);
    if (extensions == nullptr) continue;
    std::string defect = extension_defect(
        extensions, {NID_certificate_issuer, NID_crl_reason, NID_invalidity_date}, "entry");
    if (!defect.empty()) return defect;
    const int at = delta ? -1 : X509_REVOKED_get_ext_by_NID(entry, NID_crl_reason, -1);
    if (at < 0) continue;
    const auto* value = X509_EXTENSION_get_data(X509_REVOKED_get_ext(entry, at));
    // RFC 5280, 5.3.1: an ENUMERATED of 8, removeFromCRL.
    if (equal({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))},
              Bytes{0x0a, 0x01, 0x08})) {
      return "it is no delta list and yet removes entries";
    }
  }
  return "";
}

// Bits of security of a signature, by its digest; what OpenSSL compares for certificates.
int strength_of(const X509_ALGOR* algorithm) {
  const int digest = digest_nid_of(algorithm);
  if (digest == NID_undef) return 128;  // Ed25519, Ed448; what is unknown fails to verify
  if (digest == NID_sha1) return 63;
  if (digest == NID_md5 || digest == NID_md5_sha1) return 39;
  const EVP_MD* md = EVP_get_digestbynid(digest);
  return md == nullptr ? 0 : EVP_MD_get_size(md) * 4;
}

std::string date_defect(X509_CRL* crl, std::time_t time) {
  const CrlFacts facts = crl_facts(crl);
  if (facts.this_update > time) {
    return fmt::format("it is not valid before {}", rfc3339(facts.this_update));
  }
  if (facts.next_update && *facts.next_update < time) {
    return fmt::format("it is stale: its next update was due on {}", rfc3339(*facts.next_update));
  }
  return "";
}

}  // namespace

ossl::Crl crl_from_der(ByteView der, std::string_view input) {
  ossl::clear_errors();
  const unsigned char* at = der.data();
  ossl::Crl crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  if (crl == nullptr) refuse_kind(der, input, kExpected);
  const std::size_t rest = der.size() - static_cast<std::size_t>(at - der.data());
  if (rest != 0) refuse(input, fmt::format("{} bytes follow the revocation list", rest));
  if (der_element_size(der) != der.size()) refuse(input, "the revocation list is not DER");
  return crl;
}

std::vector<ossl::Crl> read_crls(ByteView content, std::string_view input) {
  if (content.empty()) refuse(input, "it is empty");
  Lists found;
  if (!looks_like_pem(content)) {
    if (kind_of_der(content) == "a PKCS#7 or CMS file") {
      add_from_pkcs7(content, input, found);
    } else {
      found.push_back(crl_from_der(content, input));
    }
    return found;
  }
  const std::vector<PemBlock> blocks = pem_blocks(content, input);
  for (const PemBlock& block : blocks) {
    const std::string kind = kind_of_pem(block.label);
    if (kind == "a PKCS#7 file" || kind == "a CMS file") add_from_pkcs7(block.der, input, found);
    if (kind == kExpected) found.push_back(crl_from_der(block.der, input));
  }
  if (found.empty()) refuse_kind(content, input, kExpected);
  return found;
}

Bytes crl_der(X509_CRL* crl) { return ossl::der_of(i2d_X509_CRL, crl); }

std::string crl_sha256(X509_CRL* crl) {
  return hex(ossl::digest(ossl::digest_named("sha256"), crl_der(crl)));
}

CrlFacts crl_facts(X509_CRL* crl) {
  CrlFacts facts;
  facts.issuer = name_text(X509_CRL_get_issuer(crl));
  facts.number = number_of(crl, NID_crl_number);
  facts.base_number = number_of(crl, NID_delta_crl);
  facts.this_update = time_of(X509_CRL_get0_lastUpdate(crl), "thisUpdate");
  if (X509_CRL_get0_nextUpdate(crl) != nullptr) {
    facts.next_update = time_of(X509_CRL_get0_nextUpdate(crl), "nextUpdate");
  }
  facts.entries =
      static_cast<std::size_t>(std::max(0, sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl))));
  const auto scope = extension_of<Scope>(crl, NID_issuing_distribution_point);
  facts.scope = scope_of(scope.get());
  facts.indirect = scope != nullptr && scope->indirectCRL > 0;
  facts.some_reasons = scope != nullptr && scope->onlysomereasons != nullptr;
  facts.signature_algorithm = algorithm_name(signature_of(crl));
  return facts;
}

std::string crl_defect(X509_CRL* crl, int security_level) {
  static constexpr std::array<int, 6> kBits{0, 80, 112, 128, 192, 256};
  const auto* extensions = X509_CRL_get0_extensions(crl);
  const auto unknown = extension_defect(
      extensions, {NID_issuing_distribution_point, NID_authority_key_identifier, NID_delta_crl},
      "list");
  if (!unknown.empty()) return unknown;
  CrlFacts facts;
  try {
    facts = crl_facts(crl);
  } catch (const Error& error) {
    return error.what();
  }
  if (!facts.next_update) return "it does not say when the next one comes";
  if (extensions != nullptr && X509_CRL_get_version(crl) != X509_CRL_VERSION_2) {
    return "it has extensions and is not of version 2";
  }
  if (!facts.base_number.empty() && facts.number.empty())
    return "it is a delta list without number";
  const X509_ALGOR* algorithm = signature_of(crl);
  if (!parameters_fit(algorithm)) return "the parameters of its signature do not fit";
  const int level = std::clamp(security_level, 0, 5);
  if (strength_of(algorithm) < kBits.at(static_cast<std::size_t>(level))) {
    return fmt::format("its signature, {}, is too weak", facts.signature_algorithm);
  }
  return entries_defect(crl, !facts.base_number.empty());
}

bool signed_crl(X509_CRL* crl, X509* issuer) {
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  const bool named = X509_NAME_cmp(X509_get_subject_name(issuer), X509_CRL_get_issuer(crl)) == 0;
  // All bits are set where there is no keyUsage.
  const bool may_sign = (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0;
  const bool is_signed = named && may_sign && key != nullptr && X509_CRL_verify(crl, key) == 1;
  ossl::clear_errors();
  return is_signed;
}

std::vector<std::string> crl_problems(X509_CRL* crl, std::span<const ossl::Certificate> untrusted,
                                      std::span<const ossl::Certificate> anchors,
                                      const PathOptions& options) {
  std::vector<std::string> problems;
  std::string defect = crl_defect(crl, options.security_level.value_or(1));
  if (!defect.empty()) return {std::move(defect)};
  defect = date_defect(crl, options.time);
  if (!defect.empty()) problems.push_back(std::move(defect));

  std::vector<std::string> of_issuers;
  for (const auto certificates : {anchors, untrusted}) {
    for (const ossl::Certificate& issuer : certificates) {
      if (!signed_crl(crl, issuer.get())) continue;
      const Verdict verdict = verify_path(issuer.get(), untrusted, anchors, options);
      if (verdict.ok) return problems;
      for (const PathProblem& problem : verdict.problems) {
        of_issuers.push_back(fmt::format("its issuer: {}: {}", problem.subject, problem.reason));
      }
    }
  }
  if (of_issuers.empty()) {
    of_issuers.push_back(
        fmt::format("no certificate among those given belongs to its issuer \"{}\" and signed it",
                    name_text(X509_CRL_get_issuer(crl))));
  }
  problems.insert(problems.end(), of_issuers.begin(), of_issuers.end());
  return problems;
}

std::optional<std::string> revocation_in(X509_CRL* crl, X509* certificate) {
  X509_REVOKED* entry = nullptr;
  if (X509_CRL_get0_by_cert(crl, &entry, certificate) != 1) return std::nullopt;
  std::tm utc{};
  std::string text = ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(entry), &utc) == 1
                         ? rfc3339(timegm(&utc))
                         : "a time that cannot be read";
  // RFC 5280, 5.3.1; 7 is not used.
  static constexpr std::array<const char*, 11> kReasons{
      "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
      "superseded",    "cessationOfOperation", "certificateHold", "",
      "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};
  using Enumerated = std::unique_ptr<ASN1_ENUMERATED, ossl::Deleter<ASN1_ENUMERATED_free>>;
  const Enumerated reason(static_cast<ASN1_ENUMERATED*>(
      X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, nullptr, nullptr)));
  const long number = reason == nullptr ? -1 : ASN1_ENUMERATED_get(reason.get());
  if (number >= 0 && number < static_cast<long>(kReasons.size())) {
    text += fmt::format(" ({})", kReasons.at(static_cast<std::size_t>(number)));
  }
  ossl::clear_errors();
  return text;
}

}  // namespace hsmith::x509
