#include "src/ossl/algorithms.h"

#include <algorithm>
#include <array>
#include <vector>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

constexpr KeyType kKeyTypes[] = {
    {"rsa:2048", KeyAlgorithm::rsa, 2048, nullptr, nullptr, "sha256"},
    {"rsa:3072", KeyAlgorithm::rsa, 3072, nullptr, nullptr, "sha256"},
    {"rsa:4096", KeyAlgorithm::rsa, 4096, nullptr, nullptr, "sha256"},
    {"ec:p256", KeyAlgorithm::ec, 256, "prime256v1", "06082a8648ce3d030107", "sha256"},
    {"ec:p384", KeyAlgorithm::ec, 384, "secp384r1", "06052b81040022", "sha384"},
    {"ec:p521", KeyAlgorithm::ec, 521, "secp521r1", "06052b81040023", "sha512"},
    {"ed25519", KeyAlgorithm::ed25519, 256, "ED25519", "06032b6570", nullptr},
    {"aes:256", KeyAlgorithm::aes, 256, nullptr, nullptr, nullptr},
};

// How CKA_EC_PARAMS of an Ed25519 key reads on tokens that do not use the OID of RFC 8410.
constexpr const char* kEdwards25519Text = "130c656477617264733235353139";  // PKCS#11 3.0, 2.3.10
constexpr const char* kEdwards25519OldOid = "06092b06010401da470f01";      // OpenPGP's, OpenSC 0.23

constexpr DigestType kDigestTypes[] = {
    {"sha1", 20, EVP_sha1},
    {"sha256", 32, EVP_sha256},
    {"sha384", 48, EVP_sha384},
    {"sha512", 64, EVP_sha512},
};

constexpr std::array<std::string_view, 4> kSchemes = {"pkcs1", "pss", "ecdsa", "eddsa"};

// "unknown key type "rsa:2049"", with the nearest name, or all of them, as the hint.
Error unknown(const char* what, std::string_view name, const std::vector<std::string>& known) {
  Error error(Kind::usage, std::string("unknown ") + what + " " + quoted(name));
  if (const auto nearest = did_you_mean(name, known)) {
    return std::move(error).hint("did you mean " + *nearest + "?");
  }
  std::string all;
  for (const std::string& one : known) all += (all.empty() ? "" : ", ") + one;
  return std::move(error).hint("use one of " + all);
}

template <typename Type>
std::vector<std::string> names_of(std::span<const Type> types) {
  std::vector<std::string> names;
  for (const Type& type : types) names.emplace_back(type.name);
  return names;
}

std::string group_name(const EVP_PKEY* key) {
  char name[64] = "";
  std::size_t length = 0;
  // A curve given by its explicit parameters has no name.
  if (EVP_PKEY_get_group_name(key, name, sizeof name, &length) != 1) return "explicit";
  return {name, length};
}

const KeyType* key_type_of(const EVP_PKEY* key) {
  const bool ed25519 = EVP_PKEY_is_a(key, "ED25519") == 1;
  const bool ec = EVP_PKEY_is_a(key, "EC") == 1;
  const bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
  const std::string group = ec ? group_name(key) : "";
  for (const KeyType& type : kKeyTypes) {
    if (ed25519 && type.algorithm == KeyAlgorithm::ed25519) return &type;
    if (ec && type.algorithm == KeyAlgorithm::ec && group == type.group) return &type;
    if (rsa && type.algorithm == KeyAlgorithm::rsa && EVP_PKEY_get_bits(key) == type.bits) {
      return &type;
    }
  }
  return nullptr;
}

// The table's default, else the smallest SHA-2 that is not shorter than the curve's order.
const DigestType& default_digest(const EVP_PKEY* key) {
  if (const KeyType* type = key_type_of(key)) return digest_named(type->default_digest);
  if (algorithm_of(key) == KeyAlgorithm::rsa || EVP_PKEY_get_bits(key) <= 256) {
    return digest_named("sha256");
  }
  return digest_named(EVP_PKEY_get_bits(key) <= 384 ? "sha384" : "sha512");
}

const char* article_and_name(KeyAlgorithm algorithm) {
  switch (algorithm) {
    case KeyAlgorithm::rsa:
      return "an RSA key";
    case KeyAlgorithm::ec:
      return "an EC key";
    case KeyAlgorithm::ed25519:
      return "an Ed25519 key";
    case KeyAlgorithm::aes:
      return "an AES key";
  }
  return "a key";
}

void check_scheme_name(KeyAlgorithm algorithm, std::string_view scheme) {
  if (scheme.empty()) return;
  if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
    throw unknown("signature scheme", scheme, {kSchemes.begin(), kSchemes.end()});
  }
  const bool fits = algorithm == KeyAlgorithm::rsa  ? scheme == "pkcs1" || scheme == "pss"
                    : algorithm == KeyAlgorithm::ec ? scheme == "ecdsa"
                                                    : scheme == "eddsa";
  if (fits) return;
  const char* instead = algorithm == KeyAlgorithm::rsa  ? "pkcs1 or pss"
                        : algorithm == KeyAlgorithm::ec ? "ecdsa"
                                                        : "eddsa";
  throw Error(Kind::usage,
              "choose the signature scheme: " + std::string(article_and_name(algorithm)) +
                  " cannot make " + std::string(scheme) + " signatures")
      .hint(std::string("use ") + instead + ", or leave --scheme out");
}

}  // namespace

std::span<const KeyType> key_types() { return kKeyTypes; }

const KeyType& key_type_named(std::string_view name) {
  for (const KeyType& type : kKeyTypes) {
    if (name == type.name) return type;
  }
  throw unknown("key type", name, names_of(key_types()));
}

const KeyType* key_type_of_curve(ByteView der) {
  const std::string wanted = hex(der);
  const KeyType& ed25519 = key_type_named("ed25519");
  if (wanted == kEdwards25519Text || wanted == kEdwards25519OldOid) return &ed25519;
  for (const KeyType& type : kKeyTypes) {
    if (type.curve_oid_der_hex != nullptr && wanted == type.curve_oid_der_hex) return &type;
  }
  return nullptr;
}

std::string key_type_name(const EVP_PKEY* key) {
  if (const KeyType* type = key_type_of(key)) return type->name;
  if (EVP_PKEY_is_a(key, "EC") == 1) return "ec:" + group_name(key);
  const char* name = EVP_PKEY_get0_type_name(key);
  if (name == nullptr) return "unknown";
  if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1 ||
      EVP_PKEY_is_a(key, "DSA") == 1) {
    return lower(name) + ":" + std::to_string(EVP_PKEY_get_bits(key));
  }
  return lower(name);
}

std::span<const DigestType> digest_types() { return kDigestTypes; }

const DigestType& digest_named(std::string_view name) {
  std::string plain = lower(name);
  std::erase(plain, '-');
  for (const DigestType& type : kDigestTypes) {
    if (plain == type.name) return type;
  }
  std::vector<std::string> known = names_of(digest_types());
  std::erase(known, "sha1");  // read in what is old, and refused for what is new: no advice
  throw unknown("digest", name, known);
}

KeyAlgorithm algorithm_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return KeyAlgorithm::rsa;
  if (EVP_PKEY_is_a(key, "EC") == 1) return KeyAlgorithm::ec;
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyAlgorithm::ed25519;
  throw Error(Kind::unsupported,
              "use a key of type " + key_type_name(key) + ": it is neither RSA, EC nor Ed25519");
}

Scheme choose_scheme(const EVP_PKEY* key, std::string_view scheme, std::string_view digest) {
  const KeyAlgorithm algorithm = algorithm_of(key);
  check_scheme_name(algorithm, scheme);
  if (algorithm == KeyAlgorithm::ed25519) {
    if (digest.empty()) return {};
    throw Error(Kind::usage,
                "choose the digest: an Ed25519 key signs the whole message, without a digest")
        .hint("leave --digest out");
  }
  const DigestType& chosen = digest.empty() ? default_digest(key) : digest_named(digest);
  if (algorithm == KeyAlgorithm::ec) return {Padding::none, &chosen};
  return {scheme == "pss" ? Padding::pss : Padding::pkcs1, &chosen};
}

std::string describe(const EVP_PKEY* key, const Scheme& scheme) {
  const std::string with =
      scheme.digest != nullptr ? std::string(" with ") + scheme.digest->name : "";
  switch (algorithm_of(key)) {
    case KeyAlgorithm::rsa:
      return (scheme.padding == Padding::pss ? "RSA-PSS" : "RSA PKCS#1 v1.5") + with;
    case KeyAlgorithm::ec:
      return "ECDSA" + with;
    default:
      return "Ed25519";
  }
}

Bytes digest(const DigestType& type, ByteView data) {
  Bytes out(type.size);
  check(EVP_Digest(data.data(), data.size(), out.data(), nullptr, type.md(), nullptr) == 1,
        std::string("compute a digest with ") + type.name);
  return out;
}

Hasher::Hasher(const DigestType& type) : context_(check_ptr(EVP_MD_CTX_new(), "start a digest")) {
  check(EVP_DigestInit_ex(context_.get(), type.md(), nullptr) == 1,
        std::string("start a digest with ") + type.name);
}

void Hasher::update(ByteView block) {
  check(EVP_DigestUpdate(context_.get(), block.data(), block.size()) == 1, "compute a digest");
}

Bytes Hasher::finish() {
  Bytes out(static_cast<std::size_t>(EVP_MD_CTX_get_size(context_.get())));
  check(EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) == 1, "finish a digest");
  return out;
}

}  // namespace hsmith::ossl
