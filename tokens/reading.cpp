// Objects of a token, from attributes to structs. Everything a token says is checked.
#include "tokens/reading.h"

#include <array>
#include <fmt/format.h>
#include <set>
#include <vector>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/keys.h"
#include "tokens/quirks.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Attributes;

constexpr std::array<CK_ATTRIBUTE_TYPE, 18> kPrivateAttributes{CKA_LABEL,
                                                               CKA_ID,
                                                               CKA_KEY_TYPE,
                                                               CKA_MODULUS,
                                                               CKA_PUBLIC_EXPONENT,
                                                               CKA_EC_PARAMS,
                                                               CKA_PUBLIC_KEY_INFO,
                                                               CKA_SIGN,
                                                               CKA_DECRYPT,
                                                               CKA_DERIVE,
                                                               CKA_UNWRAP,
                                                               CKA_SENSITIVE,
                                                               CKA_EXTRACTABLE,
                                                               CKA_LOCAL,
                                                               CKA_MODIFIABLE,
                                                               CKA_ALWAYS_SENSITIVE,
                                                               CKA_NEVER_EXTRACTABLE,
                                                               CKA_ALWAYS_AUTHENTICATE};
constexpr std::array<CK_ATTRIBUTE_TYPE, 7> kPublicAttributes{
    CKA_LABEL, CKA_ID, CKA_KEY_TYPE, CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT};
constexpr std::array<CK_ATTRIBUTE_TYPE, 13> kSecretAttributes{CKA_LABEL,
                                                              CKA_ID,
                                                              CKA_KEY_TYPE,
                                                              CKA_VALUE_LEN,
                                                              CKA_SIGN,
                                                              CKA_DECRYPT,
                                                              CKA_DERIVE,
                                                              CKA_WRAP,
                                                              CKA_UNWRAP,
                                                              CKA_SENSITIVE,
                                                              CKA_EXTRACTABLE,
                                                              CKA_LOCAL,
                                                              CKA_NEVER_EXTRACTABLE};
constexpr std::array<CK_ATTRIBUTE_TYPE, 3> kCertificateAttributes{CKA_LABEL, CKA_ID, CKA_VALUE};

// CKA_EC_POINT without its DER wrapping. Tokens give the point as an OCTET STRING, raw (NSS 3.110),
// or wrapped with a wrong length (tpm2-pkcs11 1.9 for P-521); the curve tells how long it must be.
ByteView unwrapped_point(ByteView value, const ossl::KeyType& curve) {
  const std::size_t field = static_cast<std::size_t>(curve.bits + 7) / 8;
  const std::size_t raw = curve.algorithm == ossl::KeyAlgorithm::ed25519 ? 32 : 2 * field + 1;
  if (value.size() == raw + 2 || value.size() == raw + 3) return value.last(raw);
  return value;
}

std::shared_ptr<EVP_PKEY> shared(ossl::PKey key) { return {key.release(), EVP_PKEY_free}; }

// The public half that the attributes give; null when they give none, or one that makes no sense.
std::shared_ptr<EVP_PKEY> public_half(const Attributes& is, const ossl::KeyType* curve) {
  try {
    const Bytes modulus = is.bytes(CKA_MODULUS);
    const Bytes exponent = is.bytes(CKA_PUBLIC_EXPONENT);
    if (!modulus.empty() && !exponent.empty())
      return shared(ossl::rsa_public_key(modulus, exponent));
    const Bytes point = is.bytes(CKA_EC_POINT);
    if (curve != nullptr && !point.empty()) {
      return shared(ossl::ec_public_key(*curve, unwrapped_point(point, *curve)));
    }
    const Bytes info = is.bytes(CKA_PUBLIC_KEY_INFO);
    if (!info.empty()) return shared(ossl::public_key_from_spki(info));
  } catch (const Error&) {  // a broken public half is no public half
  }
  return nullptr;
}

ObjectType type_of(CK_OBJECT_CLASS object_class) {
  switch (object_class) {
    case CKO_PRIVATE_KEY:
      return ObjectType::private_key;
    case CKO_PUBLIC_KEY:
      return ObjectType::public_key;
    case CKO_SECRET_KEY:
      return ObjectType::secret_key;
    default:
      return ObjectType::cert;
  }
}

std::span<const CK_ATTRIBUTE_TYPE> attributes_of(CK_OBJECT_CLASS object_class) {
  switch (object_class) {
    case CKO_PRIVATE_KEY:
      return kPrivateAttributes;
    case CKO_PUBLIC_KEY:
      return kPublicAttributes;
    default:
      return kSecretAttributes;
  }
}

// Whether the attribute is there without which an object of this kind is no key.
bool has_essence(const Key& key, const Attributes& is) {
  const bool is_public = key.object_class == CKO_PUBLIC_KEY;
  if (key.type == CKK_AES) return key.value_size.value_or(0) > 0;
  if (key.type == CKK_RSA) return !is.bytes(CKA_MODULUS).empty();
  if (key.type == CKK_EC || key.type == CKK_EC_EDWARDS)
    return !is.bytes(is_public ? CKA_EC_POINT : CKA_EC_PARAMS).empty();
  return key.type.has_value();
}

// What a module was writing when its process was killed has neither a name nor what makes it a key.
// A nameless key that is whole stays one: other programs make such.
bool is_half_written(const Key& key, const Attributes& is) {
  return key.label.empty() && key.id.empty() && !has_essence(key, is);
}

}  // namespace

std::string object_uri(const OpenToken& token, const std::string& label, ByteView id,
                       ObjectType type) {
  Uri uri;
  uri.token = token.info.label;
  // Empty ones too: without them the URI would name every object that has one.
  uri.id = to_bytes(id);
  uri.object = label;
  uri.type = type;
  return format(uri);
}

std::span<const CK_ATTRIBUTE_TYPE> attributes_of_any_object() {
  static const std::vector<CK_ATTRIBUTE_TYPE> kAll = [] {
    std::set<CK_ATTRIBUTE_TYPE> all{CKA_CLASS};
    for (const CK_OBJECT_CLASS one : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY})
      all.insert(attributes_of(one).begin(), attributes_of(one).end());
    return std::vector(all.begin(), all.end());
  }();
  return kAll;
}

namespace {

Key described(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class,
              const Attributes& is) {
  Key key;
  key.handle = handle;
  key.object_class = object_class;
  key.label = is.text(CKA_LABEL);
  key.id = is.bytes(CKA_ID);
  key.type = is.number(CKA_KEY_TYPE);
  key.value_size = is.number(CKA_VALUE_LEN);
  const Bytes params = is.bytes(CKA_EC_PARAMS);
  if (!params.empty()) key.curve = ossl::key_type_of_curve(params);
  key.sign = is.flag(CKA_SIGN);
  key.decrypt = is.flag(CKA_DECRYPT);
  key.derive = is.flag(CKA_DERIVE);
  key.wrap = is.flag(CKA_WRAP);
  key.unwrap = is.flag(CKA_UNWRAP);
  key.sensitive = is.flag(CKA_SENSITIVE);
  key.extractable = is.flag(CKA_EXTRACTABLE);
  key.always_sensitive = is.flag(CKA_ALWAYS_SENSITIVE);
  key.never_extractable = is.flag(CKA_NEVER_EXTRACTABLE);
  key.local = is.flag(CKA_LOCAL);
  key.modifiable = is.flag(CKA_MODIFIABLE);
  key.always_authenticate = is.flag(CKA_ALWAYS_AUTHENTICATE).value_or(false);
  if (key.type == CKK_EC && token_quirks(token.info).ec_keys_derive) {
    key.derive = true;
    key.decrypt.reset();
  }
  key.public_key = public_half(is, key.curve);
  key.uri = object_uri(token, key.label, key.id, type_of(object_class));
  return key;
}

}  // namespace

Key key_of(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class,
           const Attributes& is) {
  Key key = described(token, handle, object_class, is);
  if (is_half_written(key, is))
    throw Error(Kind::token_failed, "it has neither a label, an id nor a value");
  return key;
}

Key read_key(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class) {
  return key_of(token, handle, object_class,
                token.session->get(handle, attributes_of(object_class)));
}

bool is_half_written(const OpenToken& token, CK_OBJECT_HANDLE handle,
                     CK_OBJECT_CLASS object_class) {
  const Attributes is = token.session->get(handle, attributes_of(object_class));
  return is_half_written(described(token, handle, object_class, is), is);
}

TokenCertificate read_certificate(const OpenToken& token, CK_OBJECT_HANDLE handle) {
  const Attributes is = token.session->get(handle, kCertificateAttributes);
  TokenCertificate certificate{
      handle, is.text(CKA_LABEL), is.bytes(CKA_ID), is.bytes(CKA_VALUE), {}};
  if (certificate.der.empty()) throw Error(Kind::token_failed, "the certificate has no value");
  certificate.uri = object_uri(token, certificate.label, certificate.id, ObjectType::cert);
  return certificate;
}

std::string type_name(const Key& key) {
  if (key.public_key) return ossl::key_type_name(key.public_key.get());
  if (key.curve != nullptr) return key.curve->name;
  if (key.type == CKK_AES && key.value_size) return fmt::format("aes:{}", *key.value_size * 8);
  if (key.type == CKK_RSA) return "rsa";
  if (key.type == CKK_EC) return "ec";
  if (key.type == CKK_AES) return "aes";
  return "unknown";
}

}  // namespace hsmith::tokens
