#include "src/x509/extensions.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>
#include <utility>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

// The bits of RFC 5280, 4.2.1.3, in their order.
constexpr std::array<const char*, 9> kKeyUsages{
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly"};

constexpr std::array<std::pair<const char*, const char*>, 13> kPurposes{{
    {"serverAuth", "1.3.6.1.5.5.7.3.1"},
    {"clientAuth", "1.3.6.1.5.5.7.3.2"},
    {"codeSigning", "1.3.6.1.5.5.7.3.3"},
    {"emailProtection", "1.3.6.1.5.5.7.3.4"},
    {"timeStamping", "1.3.6.1.5.5.7.3.8"},
    {"OCSPSigning", "1.3.6.1.5.5.7.3.9"},
    {"ipsecIKE", "1.3.6.1.5.5.7.3.17"},
    {"eapOverLAN", "1.3.6.1.5.5.7.3.14"},
    {"smartcardLogon", "1.3.6.1.4.1.311.20.2.2"},
    {"documentSigning", "1.3.6.1.5.5.7.3.36"},
    {"caExchange", "1.3.6.1.4.1.311.21.5"},
    {"kra", kKraOid},
    {"anyExtendedKeyUsage", "2.5.29.37.0"},
}};

constexpr std::array<const char*, 4> kWrittenHere{"2.5.29.14", "2.5.29.15", "2.5.29.17",
                                                  "2.5.29.37"};

using BitString = std::unique_ptr<ASN1_BIT_STRING, ossl::Deleter<ASN1_BIT_STRING_free>>;
using Purposes = std::unique_ptr<EXTENDED_KEY_USAGE, ossl::Deleter<EXTENDED_KEY_USAGE_free>>;
using BasicConstraints = std::unique_ptr<BASIC_CONSTRAINTS, ossl::Deleter<BASIC_CONSTRAINTS_free>>;
using AuthorityKeyId = std::unique_ptr<AUTHORITY_KEYID, ossl::Deleter<AUTHORITY_KEYID_free>>;

ossl::Asn1Object object_of(std::string_view oid) {
  const bool dotted = oid.size() <= 128 && oid.find('.') != std::string_view::npos &&
                      oid.find_first_not_of("0123456789.") == std::string_view::npos;
  ossl::Asn1Object object(dotted ? OBJ_txt2obj(std::string(oid).c_str(), 1) : nullptr);
  ossl::clear_errors();
  if (object == nullptr) {
    throw Error(Kind::usage, fmt::format("the OID {}: it is no dotted OID", quoted(oid)));
  }
  return object;
}

// A known word of a list, in its own spelling. Throws usage with the nearest.
std::string known_word(std::string_view word, std::span<const std::string> known,
                       std::string_view what) {
  for (const std::string& candidate : known) {
    if (lower(candidate) == lower(word)) return candidate;
  }
  Error error(Kind::usage, fmt::format("{} {}: not known", what, quoted(word)));
  if (const auto near = did_you_mean(word, known)) {
    throw std::move(error).hint(fmt::format("did you mean {}?", *near));
  }
  throw std::move(error).hint(fmt::format("known are: {}", fmt::join(known, ", ")));
}

void add_once(std::vector<std::string>& list, std::string value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(std::move(value));
}

const char* oid_of_purpose(const std::string& purpose) {
  for (const auto& [name, oid] : kPurposes) {
    if (purpose == name) return oid;
  }
  return purpose.c_str();
}

void push(ossl::Extensions& list, ossl::Extension extension) {
  ossl::check(sk_X509_EXTENSION_push(list.get(), extension.get()) > 0, "add an extension");
  extension.release();
}

void push_value(ossl::Extensions& list, int nid, bool critical, void* value) {
  push(list, ossl::Extension(ossl::check_ptr(X509V3_EXT_i2d(nid, critical ? 1 : 0, value),
                                             "encode an extension")));
}

void push_key_usage(ossl::Extensions& list, std::span<const std::string> usages) {
  const BitString bits(ossl::check_ptr(ASN1_BIT_STRING_new(), "make a bit string"));
  for (const std::string& usage : usages) {
    const auto bit = std::find(kKeyUsages.begin(), kKeyUsages.end(), usage) - kKeyUsages.begin();
    ossl::check(ASN1_BIT_STRING_set_bit(bits.get(), static_cast<int>(bit), 1) == 1,
                "make a bit string");
  }
  push_value(list, NID_key_usage, true, bits.get());
}

void push_purposes(ossl::Extensions& list, std::span<const std::string> purposes) {
  const Purposes all(ossl::check_ptr(EXTENDED_KEY_USAGE_new(), "make a list of purposes"));
  for (const std::string& purpose : purposes) {
    ossl::Asn1Object object = object_of(oid_of_purpose(purpose));
    ossl::check(sk_ASN1_OBJECT_push(all.get(), object.get()) > 0, "make a list of purposes");
    object.release();
  }
  push_value(list, NID_ext_key_usage, false, all.get());
}

void push_authority(ossl::Extensions& list) {
  const BasicConstraints constraints(
      ossl::check_ptr(BASIC_CONSTRAINTS_new(), "make basic constraints"));
  constraints->ca = 0xff;
  push_value(list, NID_basic_constraints, true, constraints.get());
}

void push_extra(ossl::Extensions& list, const ExtraExtension& extra) {
  const ossl::Asn1Object object = object_of(extra.oid);
  const ossl::OctetString octets(ossl::check_ptr(ASN1_OCTET_STRING_new(), "make a string"));
  ossl::check(ASN1_OCTET_STRING_set(octets.get(), extra.der.data(),
                                    static_cast<int>(extra.der.size())) == 1,
              "make a string");
  push(
      list,
      ossl::Extension(ossl::check_ptr(
          X509_EXTENSION_create_by_OBJ(nullptr, object.get(), extra.critical ? 1 : 0, octets.get()),
          "make an extension")));
}

// The value of one extension as OpenSSL's type.
template <typename Handle>
Handle value_of(X509_EXTENSION* extension) {
  ossl::clear_errors();
  Handle value(static_cast<typename Handle::pointer>(X509V3_EXT_d2i(extension)));
  const std::string oid = oid_text(X509_EXTENSION_get_object(extension));
  ossl::check(value != nullptr, fmt::format("read the extension {}", oid), Kind::malformed);
  return value;
}

std::string hex_of(const ASN1_OCTET_STRING* octets) {
  return hex({ASN1_STRING_get0_data(octets), static_cast<std::size_t>(ASN1_STRING_length(octets))});
}

void read_key_usage(X509_EXTENSION* extension, ExtensionFacts& facts) {
  const auto bits = value_of<BitString>(extension);
  for (std::size_t i = 0; i < kKeyUsages.size(); ++i) {
    if (ASN1_BIT_STRING_get_bit(bits.get(), static_cast<int>(i)) == 1) {
      facts.key_usage.emplace_back(kKeyUsages[i]);
    }
  }
}

void read_purposes(X509_EXTENSION* extension, ExtensionFacts& facts) {
  const auto purposes = value_of<Purposes>(extension);
  for (int i = 0; i < sk_ASN1_OBJECT_num(purposes.get()); ++i) {
    std::string text = oid_text(sk_ASN1_OBJECT_value(purposes.get(), i));
    for (const auto& [name, oid] : kPurposes) {
      if (text == oid) text = name;
    }
    facts.extended_key_usage.push_back(std::move(text));
  }
}

void read_basic_constraints(X509_EXTENSION* extension, ExtensionFacts& facts) {
  const auto constraints = value_of<BasicConstraints>(extension);
  facts.is_ca = constraints->ca != 0;
  if (constraints->pathlen != nullptr) {
    facts.path_length = ASN1_INTEGER_get(constraints->pathlen);
  }
}

void read_authority_key(X509_EXTENSION* extension, ExtensionFacts& facts) {
  const auto authority = value_of<AuthorityKeyId>(extension);
  if (authority->keyid != nullptr) facts.authority_key_id = hex_of(authority->keyid);
}

void read_one(X509_EXTENSION* extension, const std::string& oid, ExtensionFacts& facts) {
  switch (OBJ_obj2nid(X509_EXTENSION_get_object(extension))) {
    case NID_subject_alt_name:
      facts.names = alt_names_from(value_of<ossl::GeneralNames>(extension).get());
      return;
    case NID_key_usage:
      return read_key_usage(extension, facts);
    case NID_ext_key_usage:
      return read_purposes(extension, facts);
    case NID_basic_constraints:
      return read_basic_constraints(extension, facts);
    case NID_subject_key_identifier:
      facts.subject_key_id = hex_of(value_of<ossl::OctetString>(extension).get());
      return;
    case NID_authority_key_identifier:
      return read_authority_key(extension, facts);
    default:
      facts.other.push_back(oid);
  }
}

}  // namespace

std::vector<std::string> parse_key_usage(std::string_view list) {
  const std::vector<std::string> known(kKeyUsages.begin(), kKeyUsages.end());
  std::vector<std::string> usages;
  for (const std::string& word : split(list, ',')) {
    const std::string_view asked = trim(word);
    // X.509's newer name of the bit.
    add_once(usages, lower(asked) == "contentcommitment"
                         ? "nonRepudiation"
                         : known_word(asked, known, "the key usage"));
  }
  return usages;
}

std::vector<std::string> parse_extended_key_usage(std::string_view list) {
  std::vector<std::string> known;
  for (const auto& [name, oid] : kPurposes) known.emplace_back(name);
  std::vector<std::string> purposes;
  for (const std::string& word : split(list, ',')) {
    const std::string asked(trim(word));
    if (asked.empty() || asked.find_first_not_of("0123456789.") != std::string::npos) {
      add_once(purposes, known_word(asked, known, "the extended key usage"));
      continue;
    }
    std::string purpose = oid_text(object_of(asked).get());
    for (const auto& [name, oid] : kPurposes) {
      if (purpose == oid) purpose = name;
    }
    add_once(purposes, std::move(purpose));
  }
  return purposes;
}

std::vector<std::string> parse_oids(std::string_view list) {
  std::vector<std::string> oids;
  for (const std::string& word : split(list, ','))
    add_once(oids, oid_text(object_of(trim(word)).get()));
  return oids;
}

std::string purpose_oid(const std::string& purpose) { return oid_of_purpose(purpose); }

ExtraExtension extra_extension(std::string_view oid, bool critical, Bytes der) {
  const std::string canonical = oid_text(object_of(oid).get());
  if (std::find(kWrittenHere.begin(), kWrittenHere.end(), canonical) != kWrittenHere.end()) {
    throw Error(Kind::usage,
                fmt::format("the extension {}: hsmith writes this one itself", canonical))
        .hint("use --san, --ku or --eku");
  }
  if (der.empty() || der_element_size(der) != der.size()) {
    throw Error(
        Kind::malformed,
        fmt::format("the extension {}: its value is not exactly one DER element", canonical));
  }
  return {canonical, critical, std::move(der)};
}

ossl::Extensions make_extensions(const Wishes& wishes, const X509_NAME* subject, EVP_PKEY* key) {
  ossl::Extensions list(ossl::check_ptr(sk_X509_EXTENSION_new_null(), "make a list of extensions"));
  if (!wishes.names.empty()) {
    const ossl::GeneralNames names = general_names(wishes.names);
    const bool no_subject = X509_NAME_entry_count(subject) == 0;  // RFC 5280, 4.2.1.6
    push_value(list, NID_subject_alt_name, no_subject, names.get());
  }
  if (!wishes.key_usage.empty()) push_key_usage(list, wishes.key_usage);
  if (!wishes.extended_key_usage.empty()) push_purposes(list, wishes.extended_key_usage);
  if (wishes.authority) push_authority(list);

  const Bytes identifier = ossl::key_identifier(key);
  const ossl::OctetString octets(ossl::check_ptr(ASN1_OCTET_STRING_new(), "make a string"));
  ossl::check(ASN1_OCTET_STRING_set(octets.get(), identifier.data(),
                                    static_cast<int>(identifier.size())) == 1,
              "make a string");
  push_value(list, NID_subject_key_identifier, false, octets.get());

  std::set<std::string> seen;
  if (wishes.authority) seen.insert("2.5.29.19");
  for (const ExtraExtension& extra : wishes.extra) {
    if (!seen.insert(extra.oid).second) {
      throw Error(Kind::usage, fmt::format("the extension {}: it is given twice", extra.oid));
    }
    push_extra(list, extra);
  }
  return list;
}

ExtensionFacts read_extensions(const STACK_OF(X509_EXTENSION) * extensions) {
  ExtensionFacts facts;
  std::set<std::string> seen;
  const int count = extensions == nullptr ? 0 : sk_X509_EXTENSION_num(extensions);
  for (int i = 0; i < count; ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, i);
    const std::string oid = oid_text(X509_EXTENSION_get_object(extension));
    if (!seen.insert(oid).second) {
      throw Error(Kind::malformed, fmt::format("read the extension {}: it occurs twice", oid));
    }
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
    const ByteView der(ASN1_STRING_get0_data(value),
                       static_cast<std::size_t>(ASN1_STRING_length(value)));
    if (der.empty() || der_element_size(der) != der.size()) {
      throw Error(Kind::malformed,
                  fmt::format("read the extension {}: it is not exactly one DER element", oid));
    }
    if (X509_EXTENSION_get_critical(extension) == 1) facts.critical.push_back(oid);
    read_one(extension, oid, facts);
  }
  return facts;
}

}  // namespace hsmith::x509
