#include "src/x509/alt_names.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/domain_name.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

constexpr const char* kUpnOid = "1.3.6.1.4.1.311.20.2.3";

constexpr std::array<std::pair<AltNameKind, const char*>, 7> kKinds{{
    {AltNameKind::dns, "dns"},
    {AltNameKind::ip, "ip"},
    {AltNameKind::email, "email"},
    {AltNameKind::uri, "uri"},
    {AltNameKind::upn, "upn"},
    {AltNameKind::directory, "directory"},
    {AltNameKind::other, "other"},
}};
constexpr std::size_t kTypedKinds = 5;  // the last two cannot be asked for

[[noreturn]] void refuse(std::string_view kind, std::string_view name, std::string_view cause) {
  throw Error(Kind::usage, fmt::format("the name {}:{}: {}", kind, quoted(name), cause));
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

AltName email_name(std::string_view text, std::vector<std::string>& notices) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0) refuse("email", text, "it is no user@domain");
  const std::string_view user = text.substr(0, at);
  if (user.size() > 64) refuse("email", text, "more than 64 characters stand before the '@'");
  if (!is_ascii(user) || user.find_first_of("@,;:<>()[]\"\\") != std::string_view::npos) {
    refuse("email", text,
           "only ASCII letters, digits and !#$%&'*+-/=?^_`{|}~. may stand before '@'");
  }
  const AltName domain = dns_name(text.substr(at + 1), notices);
  if (domain.value.front() == '*') refuse("email", text, "its domain is a wildcard");
  return {AltNameKind::email, std::string(user) + "@" + domain.value};
}

AltName uri_name(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (!is_ascii(text)) refuse("uri", text, "other characters than ASCII must be percent-encoded");
  if (text.size() > 2048) refuse("uri", text, "it is longer than 2048 characters");
  const std::string_view scheme = text.substr(0, colon);
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size() ||
      lower(scheme).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") !=
          std::string::npos) {
    refuse("uri", text, "it is no absolute URI, such as https://example.com/");
  }
  return {AltNameKind::uri, std::string(text)};
}

AltName upn_name(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) {
    refuse("upn", text, "it is no user@domain");
  }
  if (text.size() > 1024) refuse("upn", text, "it is longer than 1024 characters");
  if (!is_utf8(text)) refuse("upn", text, "it is not UTF-8");
  if (printable(text) != text) refuse("upn", text, "it holds invisible characters or a backslash");
  return {AltNameKind::upn, std::string(text)};
}

// The kind at the start of "dns:…", or nothing.
std::optional<AltNameKind> kind_at(std::string_view text) {
  for (std::size_t i = 0; i < kTypedKinds; ++i) {
    const std::string prefix = std::string(kKinds[i].second) + ":";
    if (lower(text.substr(0, prefix.size())) == prefix) return kKinds[i].first;
  }
  return std::nullopt;
}

AltName parse_one(std::string_view text, std::vector<std::string>& notices) {
  const auto kind = kind_at(text);
  if (!kind) {
    throw Error(Kind::usage, fmt::format("the name {}: its kind is missing", quoted(text)))
        .hint("write dns:www.example.com, ip:192.0.2.1, email:a@example.com, uri:… or upn:…");
  }
  const std::string_view value = text.substr(text.find(':') + 1);
  switch (*kind) {
    case AltNameKind::dns:
      return dns_name(value, notices);
    case AltNameKind::ip:
      return ip_name(value);
    case AltNameKind::email:
      return email_name(value, notices);
    case AltNameKind::uri:
      return uri_name(value);
    default:
      return upn_name(value);
  }
}

std::optional<Bytes> address_bytes(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Bytes bytes(16);
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return bytes;
  return std::nullopt;
}

std::string address_text(ByteView bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

template <typename String, auto New, auto Free>
std::unique_ptr<String, ossl::Deleter<Free>> make_string(ByteView value) {
  std::unique_ptr<String, ossl::Deleter<Free>> string(ossl::check_ptr(New(), "make a string"));
  ossl::check(ASN1_STRING_set(string.get(), value.data(), static_cast<int>(value.size())) == 1,
              "make a string");
  return string;
}

using GeneralName = std::unique_ptr<GENERAL_NAME, ossl::Deleter<GENERAL_NAME_free>>;
using Asn1Type = std::unique_ptr<ASN1_TYPE, ossl::Deleter<ASN1_TYPE_free>>;

void set_upn(GENERAL_NAME* general, std::string_view value) {
  ossl::Asn1Object oid(ossl::check_ptr(OBJ_txt2obj(kUpnOid, 1), "make an OID"));
  Asn1Type type(ossl::check_ptr(ASN1_TYPE_new(), "make a value"));
  auto string =
      make_string<ASN1_UTF8STRING, ASN1_UTF8STRING_new, ASN1_UTF8STRING_free>(as_bytes(value));
  ASN1_TYPE_set(type.get(), V_ASN1_UTF8STRING, string.release());
  ossl::check(GENERAL_NAME_set0_othername(general, oid.get(), type.get()) == 1, "make a upn");
  oid.release();
  type.release();
}

// "OID=hex of the DER value", as it was read from a certificate.
void set_other_name(GENERAL_NAME* general, const AltName& name) {
  const std::size_t equals = name.value.find('=');
  const auto der = parse_hex(name.value.substr(std::min(equals + 1, name.value.size())));
  ossl::Asn1Object oid(OBJ_txt2obj(name.value.substr(0, equals).c_str(), 1));
  const unsigned char* at = der ? der->data() : nullptr;
  ASN1_TYPE* value = der ? d2i_ASN1_TYPE(nullptr, &at, static_cast<long>(der->size())) : nullptr;
  if (oid == nullptr || value == nullptr ||
      GENERAL_NAME_set0_othername(general, oid.get(), value) != 1) {
    ASN1_TYPE_free(value);
    throw Error(Kind::unsupported,
                fmt::format("ask for the name {}: hsmith does not write this kind", text_of(name)));
  }
  oid.release();
}

void set_value(GENERAL_NAME* general, const AltName& name) {
  if (name.kind == AltNameKind::other) return set_other_name(general, name);
  if (name.kind == AltNameKind::directory)
    return GENERAL_NAME_set0_value(general, GEN_DIRNAME, parse_name(name.value).release());
  if (name.kind == AltNameKind::upn) return set_upn(general, name.value);
  if (name.kind == AltNameKind::ip) {
    const auto bytes = address_bytes(name.value);
    if (!bytes) refuse("ip", name.value, "it is no address");
    auto octets =
        make_string<ASN1_OCTET_STRING, ASN1_OCTET_STRING_new, ASN1_OCTET_STRING_free>(*bytes);
    return GENERAL_NAME_set0_value(general, GEN_IPADD, octets.release());
  }
  int type = 0;
  if (name.kind == AltNameKind::dns) type = GEN_DNS;
  if (name.kind == AltNameKind::email) type = GEN_EMAIL;
  if (name.kind == AltNameKind::uri) type = GEN_URI;
  auto text =
      make_string<ASN1_IA5STRING, ASN1_IA5STRING_new, ASN1_IA5STRING_free>(as_bytes(name.value));
  GENERAL_NAME_set0_value(general, type, text.release());
}

std::string content_of(const ASN1_STRING* string) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                     static_cast<std::size_t>(ASN1_STRING_length(string)));
}

AltName other_name_from(const OTHERNAME* other) {
  const std::string oid = oid_text(other->type_id);
  if (oid == kUpnOid && other->value->type == V_ASN1_UTF8STRING) {
    return {AltNameKind::upn, content_of(other->value->value.utf8string)};
  }
  return {AltNameKind::other, oid + "=" + hex(ossl::der_of(i2d_ASN1_TYPE, other->value))};
}

AltName name_from(GENERAL_NAME* general) {
  switch (general->type) {
    case GEN_DNS:
      return {AltNameKind::dns, content_of(general->d.dNSName)};
    case GEN_EMAIL:
      return {AltNameKind::email, content_of(general->d.rfc822Name)};
    case GEN_URI:
      return {AltNameKind::uri, content_of(general->d.uniformResourceIdentifier)};
    case GEN_DIRNAME:
      return {AltNameKind::directory, name_text(general->d.directoryName)};
    case GEN_OTHERNAME:
      return other_name_from(general->d.otherName);
    case GEN_IPADD: {
      const std::string bytes = content_of(general->d.iPAddress);
      if (bytes.size() == 4 || bytes.size() == 16) {
        return {AltNameKind::ip, address_text(as_bytes(bytes))};
      }
      break;
    }
    default:
      break;
  }
  return {AltNameKind::other, "DER=" + hex(ossl::der_of(i2d_GENERAL_NAME, general))};
}

}  // namespace

const char* alt_name_kind(AltNameKind kind) {
  for (const auto& [known, text] : kKinds) {
    if (known == kind) return text;
  }
  return "other";
}

std::string text_of(const AltName& name) {
  std::string text = std::string(alt_name_kind(name.kind)) + ":";
  // A directory name is escaped already, by other rules.
  if (name.kind == AltNameKind::directory) return text + name.value;
  for (const char c : printable(name.value)) {
    // A comma or a quote inside a name must not look like the next name of a list.
    const bool separator = c == ',' || c == '"' || c == ' ' || c == ';';
    text += separator ? fmt::format("\\x{:02x}", static_cast<unsigned>(c)) : std::string(1, c);
  }
  return text;
}

std::vector<std::string> texts_of(std::span<const AltName> names) {
  std::vector<std::string> texts;
  for (const AltName& name : names) texts.push_back(text_of(name));
  return texts;
}

std::vector<AltName> parse_alt_names(std::string_view text, std::vector<std::string>& notices) {
  if (text.size() > 1u << 20) throw Error(Kind::usage, "the names: they are longer than 1 MiB");
  std::vector<AltName> names;
  std::size_t start = 0;
  while (true) {
    std::size_t comma = text.find(',', start);
    while (comma != std::string_view::npos && !kind_at(trim(text.substr(comma + 1)))) {
      comma = text.find(',', comma + 1);
    }
    const AltName name = parse_one(trim(text.substr(start, comma - start)), notices);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    if (comma == std::string_view::npos) return names;
    start = comma + 1;
  }
}

AltName dns_name(std::string_view text, std::vector<std::string>& notices) {
  return {AltNameKind::dns, domain_name(text, notices)};
}

void common_names_to_a_labels(X509_NAME* subject, std::vector<std::string>& notices) {
  const std::vector<SubjectPart> parts = name_parts(subject);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string& value = parts[i].value;
    if (parts[i].type != "CN" || !is_international_domain(value)) continue;
    std::vector<std::string> said;
    try {
      replace_value(subject, static_cast<int>(i), domain_name(value, said));
    } catch (const Error& error) {
      throw error.during("the common name");
    }
    notices.insert(notices.end(), said.begin(), said.end());
  }
}

AltName ip_name(std::string_view text) {
  const auto bytes = address_bytes(text);
  if (!bytes) refuse("ip", text, "it is no IPv4 or IPv6 address");
  return {AltNameKind::ip, address_text(*bytes)};
}

bool is_ip(std::string_view text) { return address_bytes(text).has_value(); }

ossl::GeneralNames general_names(std::span<const AltName> names) {
  ossl::GeneralNames all(ossl::check_ptr(GENERAL_NAMES_new(), "make a list of names"));
  for (const AltName& name : names) {
    GeneralName general(ossl::check_ptr(GENERAL_NAME_new(), "make a name"));
    set_value(general.get(), name);
    ossl::check(sk_GENERAL_NAME_push(all.get(), general.get()) > 0, "make a list of names");
    general.release();
  }
  return all;
}

std::vector<AltName> alt_names_from(const GENERAL_NAMES* names) {
  std::vector<AltName> found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    found.push_back(name_from(sk_GENERAL_NAME_value(names, i)));
  }
  return found;
}

}  // namespace hsmith::x509
