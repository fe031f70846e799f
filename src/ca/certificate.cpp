#include "src/ca/certificate.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <openssl/rand.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/lint.h"
#include "src/ossl/check.h"
#include "src/ossl/signing.h"
#include "src/ossl/software_key.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"
#include "src/x509/public_key.h"

namespace hsmith::ca {
namespace {

using ossl::check;
using ossl::check_ptr;

constexpr const char* kTemplateName = "1.3.6.1.4.1.311.20.2";
constexpr const char* kApplicationPolicies = "1.3.6.1.4.1.311.21.10";

using BasicConstraints = std::unique_ptr<BASIC_CONSTRAINTS, ossl::Deleter<BASIC_CONSTRAINTS_free>>;
using AuthorityKeyId = std::unique_ptr<AUTHORITY_KEYID, ossl::Deleter<AUTHORITY_KEYID_free>>;
using Policies = std::unique_ptr<CERTIFICATEPOLICIES, ossl::Deleter<CERTIFICATEPOLICIES_free>>;
using Points = std::unique_ptr<CRL_DIST_POINTS, ossl::Deleter<CRL_DIST_POINTS_free>>;
using Access = std::unique_ptr<AUTHORITY_INFO_ACCESS, ossl::Deleter<AUTHORITY_INFO_ACCESS_free>>;
using Text = std::unique_ptr<ASN1_STRING, ossl::Deleter<ASN1_STRING_free>>;

x509::ExtraExtension extension(const char* oid, bool critical, Bytes der) {
  return {oid, critical, std::move(der)};
}

x509::ExtraExtension constraints_extension(int path_length) {
  const BasicConstraints value(check_ptr(BASIC_CONSTRAINTS_new(), "make basicConstraints"));
  value->ca = 0xff;
  if (path_length >= 0) {
    value->pathlen = check_ptr(ASN1_INTEGER_new(), "make basicConstraints");
    check(ASN1_INTEGER_set(value->pathlen, path_length) == 1, "make basicConstraints");
  }
  return extension("2.5.29.19", true, ossl::der_of(i2d_BASIC_CONSTRAINTS, value.get()));
}

// The issuer's own identifier, or for a self-signed certificate that of its key.
x509::ExtraExtension authority_key_extension(X509* issuer, EVP_PKEY* key) {
  const ASN1_OCTET_STRING* theirs = issuer == nullptr ? nullptr : X509_get0_subject_key_id(issuer);
  Bytes id = ossl::key_identifier(issuer == nullptr ? key : X509_get0_pubkey(issuer));
  if (theirs != nullptr)
    id.assign(ASN1_STRING_get0_data(theirs),
              ASN1_STRING_get0_data(theirs) + ASN1_STRING_length(theirs));
  const AuthorityKeyId value(check_ptr(AUTHORITY_KEYID_new(), "make a key identifier"));
  value->keyid = check_ptr(ASN1_OCTET_STRING_new(), "make a key identifier");
  check(ASN1_OCTET_STRING_set(value->keyid, id.data(), static_cast<int>(id.size())) == 1,
        "make a key identifier");
  return extension("2.5.29.35", false, ossl::der_of(i2d_AUTHORITY_KEYID, value.get()));
}

ossl::GeneralNames uri_names(const std::string& url) {
  const x509::AltName name{x509::AltNameKind::uri, url};
  return x509::general_names({&name, 1});
}

x509::ExtraExtension distribution_extension(const std::vector<std::string>& urls) {
  const Points points(check_ptr(sk_DIST_POINT_new_null(), "make distribution points"));
  for (const std::string& url : urls) {
    DIST_POINT* point = check_ptr(DIST_POINT_new(), "make a distribution point");
    if (sk_DIST_POINT_push(points.get(), point) <= 0) DIST_POINT_free(point);
    point->distpoint = check_ptr(DIST_POINT_NAME_new(), "make a distribution point");
    point->distpoint->type = 0;  // fullName
    point->distpoint->name.fullname = uri_names(url).release();
  }
  return extension("2.5.29.31", false, ossl::der_of(i2d_CRL_DIST_POINTS, points.get()));
}

x509::ExtraExtension access_extension(const std::vector<std::string>& urls) {
  const Access access(check_ptr(sk_ACCESS_DESCRIPTION_new_null(), "make authorityInfoAccess"));
  for (const std::string& url : urls) {
    ACCESS_DESCRIPTION* one = check_ptr(ACCESS_DESCRIPTION_new(), "make authorityInfoAccess");
    if (sk_ACCESS_DESCRIPTION_push(access.get(), one) <= 0) ACCESS_DESCRIPTION_free(one);
    ASN1_OBJECT_free(one->method);
    one->method = OBJ_nid2obj(NID_ad_ca_issuers);
    GENERAL_NAME_free(one->location);
    one->location = sk_GENERAL_NAME_shift(uri_names(url).get());
  }
  return extension("1.3.6.1.5.5.7.1.1", false,
                   ossl::der_of(i2d_AUTHORITY_INFO_ACCESS, access.get()));
}

// What Windows reads besides the standard's extensions.
void add_template(const Content& content, std::vector<x509::ExtraExtension>& extra) {
  const Text name(check_ptr(ASN1_STRING_type_new(V_ASN1_BMPSTRING), "make a template name"));
  Bytes wide;
  for (const char c : content.template_name) {  // ASCII, as the profile's reader has seen to
    wide.push_back(0);
    wide.push_back(static_cast<unsigned char>(c));
  }
  check(ASN1_STRING_set(name.get(), wide.data(), static_cast<int>(wide.size())) == 1,
        "make a template name");
  extra.push_back(extension(kTemplateName, false, ossl::der_of(i2d_ASN1_BMPSTRING, name.get())));
  const Policies policies(check_ptr(sk_POLICYINFO_new_null(), "make application policies"));
  for (const std::string& purpose : content.wishes.extended_key_usage) {
    POLICYINFO* policy = check_ptr(POLICYINFO_new(), "make application policies");
    if (sk_POLICYINFO_push(policies.get(), policy) <= 0) POLICYINFO_free(policy);
    ASN1_OBJECT_free(policy->policyid);
    policy->policyid = OBJ_txt2obj(x509::purpose_oid(purpose).c_str(), 1);
  }
  extra.push_back(extension(kApplicationPolicies, false,
                            ossl::der_of(i2d_CERTIFICATEPOLICIES, policies.get())));
}

ossl::Extensions extensions_of(const Content& content, X509* issuer) {
  x509::Wishes wishes = content.wishes;
  wishes.authority = false;  // written here, with the path length
  if (content.authority) wishes.extra.push_back(constraints_extension(content.path_length));
  wishes.extra.push_back(authority_key_extension(issuer, content.key));
  if (!content.crl_urls.empty()) wishes.extra.push_back(distribution_extension(content.crl_urls));
  if (!content.issuer_urls.empty()) wishes.extra.push_back(access_extension(content.issuer_urls));
  if (!content.template_name.empty()) add_template(content, wishes.extra);
  ossl::Extensions list = x509::make_extensions(wishes, content.subject, content.key);
  for (int i = 0; !content.template_name.empty() && i < sk_X509_EXTENSION_num(list.get()); ++i)
    X509_EXTENSION_set_critical(sk_X509_EXTENSION_value(list.get(), i), 0);
  return list;
}

// ASN1_TIME_set takes the form that RFC 5280, 4.1.2.5 asks for.
ossl::Certificate unsigned_certificate(const Content& content, X509* issuer) {
  ossl::Certificate made(check_ptr(X509_new(), "make a certificate"));
  X509* it = made.get();
  const ossl::BigNumber serial(
      BN_bin2bn(content.serial.data(), static_cast<int>(content.serial.size()), nullptr));
  check(X509_set_version(it, X509_VERSION_3) == 1 &&
            BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(it)) != nullptr &&
            X509_set_subject_name(it, content.subject) == 1 &&
            X509_set_issuer_name(
                it, issuer == nullptr ? content.subject : X509_get_subject_name(issuer)) == 1 &&
            ASN1_TIME_set(X509_getm_notBefore(it), content.not_before) != nullptr &&
            ASN1_TIME_set(X509_getm_notAfter(it), content.not_after) != nullptr &&
            X509_set_pubkey(it, content.key) == 1,
        "make a certificate");
  const ossl::Extensions extensions = extensions_of(content, issuer);
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions.get()); ++i) {
    check(X509_add_ext(it, sk_X509_EXTENSION_value(extensions.get(), i), -1) == 1,
          "add an extension");
  }
  return made;
}

void sign(X509* certificate, EVP_PKEY* key, const ossl::Scheme& scheme) {
  const ossl::DigestContext context = ossl::signing_context(key, scheme);
  check(X509_sign_ctx(certificate, context.get()) > 0, "sign the certificate", Kind::token_failed);
}

// A key that signs as the authority's key does, and is gone at the end of its scope.
ossl::PKey throw_away_key(EVP_PKEY* like) {
  const bool rsa = ossl::algorithm_of(like) == ossl::KeyAlgorithm::rsa;
  return ossl::generate_software_key(
      ossl::key_type_named(rsa ? "rsa:2048" : ossl::key_type_name(like)));
}

// Made again from its parts: the encoding that a signature covers.
Bytes tbs_of(X509* certificate) { return ossl::der_of(i2d_re_X509_tbs, certificate); }

[[noreturn]] void refuse(std::string_view cause) {
  throw Error(Kind::refused, fmt::format("make the certificate: {}", cause))
      .hint("nothing was signed with the authority's key");
}

x509::Purpose purpose_of(const Content& content) {
  static const std::map<std::string, x509::Purpose> kPurposes{
      {"serverAuth", x509::Purpose::server},      {"clientAuth", x509::Purpose::client},
      {"emailProtection", x509::Purpose::email},  {"codeSigning", x509::Purpose::codesign},
      {"timeStamping", x509::Purpose::timestamp}, {"kra", x509::Purpose::kra}};
  const auto& purposes = content.wishes.extended_key_usage;
  const auto found = purposes.empty() ? kPurposes.end() : kPurposes.find(purposes.front());
  return found == kPurposes.end() ? x509::Purpose::any : found->second;
}

// The path that whoever gets the certificate will build. Empty when it is good, else the reason.
std::string path_problem(X509* certificate, X509* issuer, const Content& content) {
  const ossl::Certificate anchor = ossl::share(issuer);
  x509::PathOptions options;
  options.time = std::clamp(std::time(nullptr), content.not_before, content.not_after);
  options.partial_chain = true;
  x509::PathOptions strict = options;
  strict.strict = true;
  options.purpose = purpose_of(content);
  for (const x509::PathOptions& one : {strict, options}) {
    const x509::Verdict verdict = x509::verify_path(certificate, {}, {&anchor, 1}, one);
    if (!verdict.ok)
      return verdict.problems.empty() ? "there is no path" : verdict.problems.front().reason;
  }
  return "";
}

// The certificate of an authority that is as the signer's, but has the throw-away key.
ossl::Certificate stand_in(X509* issuer, EVP_PKEY* key, const ossl::Scheme& scheme) {
  ossl::Certificate copy(check_ptr(X509_dup(issuer), "copy a certificate"));
  check(X509_set_pubkey(copy.get(), key) == 1, "make a stand-in");
  sign(copy.get(), key, scheme);
  return ossl::Certificate(
      x509::certificate_from_der(x509::certificate_der(copy.get()), "the stand-in"));
}

// Signs with a throw-away key and lints that. What comes back is what was found good.
Bytes lint_first(const Content& content, const Signer& signer, const ossl::Scheme& scheme) {
  const ossl::PKey key = throw_away_key(signer.key->public_key());
  const ossl::Certificate trial = unsigned_certificate(content, signer.certificate);
  sign(trial.get(), key.get(), scheme);
  const ossl::Certificate read =
      x509::certificate_from_der(x509::certificate_der(trial.get()), "the certificate");
  for (const x509::Finding& finding : lint_certificate(read.get(), signer.certificate)) {
    if (finding.severity == x509::Severity::error) refuse(finding.text);
  }
  if (signer.certificate != nullptr) {
    const ossl::Certificate issuer = stand_in(signer.certificate, key.get(), scheme);
    const std::string problem = path_problem(read.get(), issuer.get(), content);
    if (!problem.empty()) refuse(problem);
  }
  return tbs_of(read.get());
}

}  // namespace

Bytes random_serial() {
  Bytes serial(16);
  do {
    check(RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1, "make a serial number");
  } while (serial.front() == 0);
  return serial;
}

ossl::Certificate make_certificate(const Content& content, const Signer& signer) {
  EVP_PKEY* signing_half = signer.key->public_key();
  const ossl::Scheme scheme = ossl::choose_scheme(signing_half, "", "");
  const Bytes linted = lint_first(content, signer, scheme);
  const ossl::Certificate made = unsigned_certificate(content, signer.certificate);
  const ossl::PKey key = ossl::as_pkey(signer.key);
  sign(made.get(), key.get(), scheme);

  ossl::Certificate read =
      x509::certificate_from_der(x509::certificate_der(made.get()), "the certificate");
  const bool verifies = X509_verify(read.get(), signing_half) == 1;
  ossl::clear_errors();
  if (!verifies || !equal(tbs_of(read.get()), linted))
    throw Error(Kind::mismatch,
                "check the certificate that was signed: it is not what was linted, "
                "or its signature does not verify");
  if (signer.certificate != nullptr) {
    const std::string problem = path_problem(read.get(), signer.certificate, content);
    if (!problem.empty())
      throw Error(Kind::mismatch,
                  fmt::format("check the certificate that was signed: {}", problem));
  }
  return read;
}

}  // namespace hsmith::ca
