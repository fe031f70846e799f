#include "cli/officer.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {

OfficerKey open_officer(Context& context, const std::string& name) {
  const tokens::Selector selector = tokens::parse_selector(name);
  OfficerKey officer;
  officer.token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(officer.token, selector);
  officer.certificate = x509::certificate_from_der(
      tokens::certificate_in_service(tokens::take_inventory(officer.token), key).der,
      "the officer's certificate");
  officer.key = tokens::remote_key(officer.token, key);
  return officer;
}

std::optional<std::string> revocation_of(X509* officer, const recovery::Trust& trust) {
  for (const auto& crl : trust.crls) {
    auto revoked = x509::revocation_in(crl.get(), officer);
    if (!revoked) continue;
    const bool on_hold = revoked->find("certificateHold") != std::string::npos;
    if (!on_hold || !recovery::has_newer_list(crl.get(), trust)) return revoked;
  }
  return std::nullopt;
}

void refuse_revoked(const std::string& doing, X509* officer, const recovery::Trust& trust) {
  const auto revoked = revocation_of(officer, trust);
  if (!revoked) return;
  throw Error(Kind::refused, fmt::format("{}: the certificate of the officer {} was revoked at {} "
                                         "(CRYPT_E_REVOKED 0x80092010)",
                                         doing, x509::certificate_facts(officer).subject, *revoked))
      .hint("an officer needs a certificate that is valid: hsmith archive officer add CERT");
}

void refuse_no_signer(const std::string& doing, X509* officer) {
  const auto facts = x509::certificate_facts(officer);
  const auto& usage = facts.extensions.key_usage;
  const bool signs = usage.empty() || std::any_of(usage.begin(), usage.end(), [](const auto& one) {
                       return one == "digitalSignature" || one == "nonRepudiation";
                     });
  if (!facts.is_ca && signs) return;
  const std::string problem =
      facts.is_ca ? "it is the certificate of an authority"
                  : fmt::format("its key usage is {}, not to sign", fmt::join(usage, ", "));
  throw Error(Kind::refused, fmt::format("{}: {} can be no officer: {} (CERT_E_WRONG_USAGE "
                                         "0x800B0110)",
                                         doing, facts.subject, problem))
      .hint("is it the right file? hsmith cert show FILE");
}

const recovery::Officer& officer_of(const recovery::Archive& archive, const recovery::Trust& trust,
                                    X509* certificate) {
  refuse_revoked("export a key", certificate, trust);
  const Bytes sha256 = recovery::sha256_of(x509::certificate_der(certificate));
  for (const auto& officer : archive.settings.officers) {
    if (equal(officer.certificate, sha256)) return officer;
  }
  throw Error(Kind::refused, fmt::format("export a key: {} is not an officer of the archive",
                                         x509::certificate_facts(certificate).subject))
      .hint("officers: hsmith archive officer list");
}

void refuse_two_roles(const recovery::Settings& settings, X509* officer, X509* seal) {
  if (!settings.role_separation ||
      !ossl::same_public_key(x509::public_key_of(officer), x509::public_key_of(seal)))
    return;
  throw Error(Kind::refused,
              fmt::format("separate the roles: the key of the officer {} is the archive's seal key "
                          "(CERTSRV_E_ROLECONFLICT 0x80094008)",
                          x509::certificate_facts(officer).subject))
      .hint("name another key's certificate with: hsmith archive officer add CERT");
}

namespace {

// A subject as it is printed, but for the commas and plus signs inside values, which are \2C and
// \2B (RFC 4514, 2.4): what a person's name says of itself must not read as another field.
std::string with_plain_separators(const std::string& subject) {
  std::string text;
  for (std::size_t i = 0; i < subject.size(); ++i) {
    text += subject[i];
    if (subject[i] != '\\' || ++i == subject.size()) continue;
    if (subject[i] == ',') {
      text += "2C";
    } else if (subject[i] == '+') {
      text += "2B";
    } else {
      text += subject[i];
    }
  }
  return text;
}

// A pattern for subjects as they are printed, as one for what with_plain_separators() gives: a
// comma or a plus sign behind an odd number of backslashes, each of which fnmatch wants twice, is
// inside a value.
std::string pattern_with_plain_separators(const std::string& pattern) {
  std::string text;
  std::size_t backslashes = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool is_escaped = pattern[i] == '\\' && i + 1 < pattern.size();
    const char character = is_escaped ? pattern[++i] : pattern[i];
    const bool is_inside = backslashes % 2 == 1 && (character == ',' || character == '+');
    if (is_inside) {
      text += character == ',' ? "2C" : "2B";
    } else {
      if (is_escaped) text += '\\';
      text += character;
    }
    backslashes = is_escaped && character == '\\' ? backslashes + 1 : 0;
  }
  return text;
}

bool fits(const std::string& pattern, const std::string& subject) {
  return fnmatch(pattern.c_str(), subject.c_str(), FNM_CASEFOLD) == 0;
}

}  // namespace

// A pattern may have the comma inside a value as it is printed, too; those of older settings have.
// Such a one must then fit what is printed as well.
bool may_export(const recovery::Officer& officer, X509* user) {
  const std::string& pattern = officer.subjects;
  const std::string printed = x509::certificate_facts(user).subject;
  const std::string subject = with_plain_separators(printed);
  if (fits(pattern, subject)) return true;
  return pattern.find('[') == std::string::npos && fits(pattern, printed) &&
         fits(pattern_with_plain_separators(pattern), subject);
}

void add_officer_certificates(Arguments& command, std::vector<std::string>& files) {
  command
      .add_option("--officer-cert", files,
                  "Certificate of an officer whose files may be opened; also [recover] officers")
      .one_each();
}

std::vector<ossl::Certificate> trusted_officers(const std::vector<std::string>& files,
                                                const Context& context) {
  std::vector<std::string> all = files;
  const auto& configured = context.config.recover_officers;
  all.insert(all.end(), configured.begin(), configured.end());
  std::vector<ossl::Certificate> officers;
  for (const std::string& file : all) {
    for (auto& officer : x509::read_certificates(read_file(file), quoted(file)))
      officers.push_back(std::move(officer));
  }
  if (!officers.empty()) return officers;
  throw Error(Kind::refused,
              fmt::format("{}: no officer is named whose files may be opened", context.command))
      .hint("name the officer's certificate with --officer-cert, or in [recover] officers");
}

void require_officer(X509* certificate, const std::string& signer,
                     const std::vector<ossl::Certificate>& officers, const std::string& file) {
  for (const auto& officer : officers) {
    if (certificate != nullptr && x509::same_certificate(officer.get(), certificate)) return;
  }
  throw Error(Kind::refused, fmt::format("open {}: it is signed by {}, who is not an officer that "
                                         "is trusted here",
                                         quoted(file), signer))
      .hint("name the officer's certificate with --officer-cert, or in [recover] officers");
}

}  // namespace hsmith::cli
