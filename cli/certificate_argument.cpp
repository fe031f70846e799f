#include "cli/certificate_argument.h"

#include <filesystem>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

// Debian's bundle of the system's anchors (package ca-certificates).
constexpr char kSystemAnchors[] = "/etc/ssl/certs/ca-certificates.crt";

NamedCertificate from_file(const std::string& argument) {
  const std::string path = tokens::file_path(argument);
  return {x509::read_certificate(read_file(path), quoted(path)), quoted(path)};
}

NamedCertificate from_token(const tokens::OpenToken& token, const tokens::Selector& selector) {
  const tokens::TokenCertificate found = tokens::find_one_certificate(token, selector);
  return {x509::certificate_from_der(found.der, found.uri), found.uri};
}

}  // namespace

NamedCertificate certificate_argument(Context& context, const std::string& argument,
                                      std::optional<tokens::OpenToken>& token) {
  const tokens::Meaning meaning = tokens::meaning_of(argument);
  if (meaning == tokens::Meaning::file) return from_file(argument);
  std::error_code ignored;  // what cannot be a file's name is none
  const bool file_is_there =
      meaning == tokens::Meaning::either && std::filesystem::exists(argument, ignored);
  const tokens::Selector selector = tokens::parse_selector(argument);
  try {
    if (!token) token = open_for_user(context, pkcs11::Access::read_only, &selector);
    NamedCertificate found = from_token(*token, selector);
    if (!file_is_there) return found;
    throw Error(
        Kind::ambiguous,
        fmt::format("read the certificate {}: a file and a certificate on the token have this name",
                    quoted(argument)))
        .hint(fmt::format("write {} or {}", shell_word("file:" + argument),
                          shell_word("label:" + argument)))
        .candidates({found.name});
  } catch (const Error& error) {
    // A file is there: that no token, or no object of this name, is at hand does not matter.
    const bool absent = error.kind() == Kind::not_found || error.kind() == Kind::pin_missing;
    if (file_is_there && absent) return from_file(argument);
    throw;
  }
}

std::vector<ossl::Certificate> read_certificate_files(const std::vector<std::string>& files) {
  std::vector<ossl::Certificate> all;
  for (const std::string& file : files) {
    for (ossl::Certificate& one : x509::read_certificates(read_file(file), quoted(file)))
      all.push_back(std::move(one));
  }
  return all;
}

std::vector<ossl::Certificate> read_anchors(const std::vector<std::string>& files) {
  std::vector<ossl::Certificate> all;
  for (const std::string& name : files) {
    const std::string file = name == "system" ? kSystemAnchors : name;
    for (ossl::Certificate& one : x509::read_anchors(read_file(file), quoted(file)))
      all.push_back(std::move(one));
  }
  return all;
}

}  // namespace hsmith::cli
