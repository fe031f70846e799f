// Public keys: from a token's numbers, to and from SubjectPublicKeyInfo.
#include "src/ossl/public_key.h"

#include <array>
#include <map>
#include <mutex>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;

void free_sequence(STACK_OF(ASN1_TYPE) * elements) noexcept {
  sk_ASN1_TYPE_pop_free(elements, ASN1_TYPE_free);
}
using PublicKeyInfo = std::unique_ptr<X509_PUBKEY, Deleter<X509_PUBKEY_free>>;
using Sequence = std::unique_ptr<STACK_OF(ASN1_TYPE), Deleter<free_sequence>>;

constexpr std::size_t kLargestModulus = 16384 / 8;  // bytes; OpenSSL refuses longer ones

PKey public_key_from(const char* type, OSSL_PARAM_BLD* built, const std::string& doing) {
  const Params params(check_ptr(OSSL_PARAM_BLD_to_param(built), doing));
  const PKeyContext context(check_ptr(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), doing));
  EVP_PKEY* key = nullptr;
  check(EVP_PKEY_fromdata_init(context.get()) == 1, doing);
  check(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1, doing,
        Kind::malformed);
  return PKey(key);
}

PKey new_ec_public_key(const KeyType& type, ByteView point, const std::string& doing) {
  const ParamBuilder builder(check_ptr(OSSL_PARAM_BLD_new(), doing));
  check(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, type.group, 0) ==
                1 &&
            OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                             point.size()) == 1,
        doing);
  return public_key_from("EC", builder.get(), doing);
}

// A key with this point on the curve of another.
PKey ec_public_key_like(const EVP_PKEY* other, ByteView point, const std::string& doing) {
  PKey key(check_ptr(EVP_PKEY_new(), doing));
  check(EVP_PKEY_copy_parameters(key.get(), other) == 1, doing);
  check(EVP_PKEY_set1_encoded_public_key(key.get(), point.data(), point.size()) == 1, doing,
        Kind::malformed);
  return key;
}

BigNumber big_number(ByteView big_endian) {
  return BigNumber(check_ptr(
      BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr), "read a number"));
}

// The contents of the TLV at the start of `rest`, which then begins behind it.
std::optional<ByteView> take(ByteView& rest, int wanted_tag) {
  const unsigned char* at = rest.data();
  long length = 0;
  int tag = 0;
  int tag_class = 0;
  const int flags = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(rest.size()));
  if ((flags & 0x81) != 0 || tag != wanted_tag || tag_class != V_ASN1_UNIVERSAL) return {};
  const ByteView contents(at, static_cast<std::size_t>(length));
  rest = ByteView(contents.data() + contents.size(), rest.data() + rest.size());
  return contents;
}

// SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
struct KeyInfo {
  ByteView algorithm;  // contents of the AlgorithmIdentifier
  ByteView bits;       // of subjectPublicKey, whole bytes
};

// nullopt for anything else.
std::optional<KeyInfo> parts_of(ByteView spki) {
  const auto info = take(spki, V_ASN1_SEQUENCE);
  if (!info || !spki.empty()) return {};
  ByteView rest = *info;
  const auto algorithm = take(rest, V_ASN1_SEQUENCE);
  const auto bits = algorithm ? take(rest, V_ASN1_BIT_STRING) : std::nullopt;
  // The first byte counts the unused bits.
  if (!bits || !rest.empty() || bits->size() < 2 || bits->front() != 0) return {};
  return KeyInfo{*algorithm, bits->subspan(1)};
}

// The curve of the table that an AlgorithmIdentifier names; nullptr for anything else.
const KeyType* curve_of(ByteView algorithm) {
  const std::string named = hex(algorithm);
  constexpr std::string_view kEcPublicKey = "06072a8648ce3d0201";  // RFC 5480, 2.1.1
  for (const KeyType& type : key_types()) {
    if (type.curve_oid_der_hex == nullptr) continue;
    const std::string_view before = type.algorithm == KeyAlgorithm::ec ? kEcPublicKey : "";
    if (named == std::string(before) + type.curve_oid_der_hex) return &type;
  }
  return nullptr;
}

constexpr const char* kEncoding = "encode a public key";

// RSAPublicKey (RFC 8017, A.1.1); empty when the key does not tell its numbers.
Bytes rsa_numbers_der(const EVP_PKEY* key) {
  const Sequence numbers(check_ptr(sk_ASN1_TYPE_new_null(), kEncoding));
  for (const char* name : {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E}) {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return {};
    const BigNumber owner(number);
    ASN1_TYPE* element = check_ptr(ASN1_TYPE_new(), kEncoding);
    check(sk_ASN1_TYPE_push(numbers.get(), element) > 0, kEncoding);
    ASN1_TYPE_set(element, V_ASN1_INTEGER,
                  check_ptr(BN_to_ASN1_INTEGER(number, nullptr), kEncoding));
  }
  return der_of(i2d_ASN1_SEQUENCE_ANY, numbers.get());
}

std::string text_param(const EVP_PKEY* key, const char* name) {
  std::array<char, 80> text{};
  return EVP_PKEY_get_utf8_string_param(key, name, text.data(), text.size(), nullptr) == 1
             ? text.data()
             : "";
}

// The named curve of the table that a key is on; nullptr for anything else.
const KeyType* curve_of(const EVP_PKEY* key) {
  if (text_param(key, OSSL_PKEY_PARAM_EC_ENCODING) != OSSL_PKEY_EC_ENCODING_GROUP) return nullptr;
  const std::string group = text_param(key, OSSL_PKEY_PARAM_GROUP_NAME);
  for (const KeyType& type : key_types()) {
    if (type.algorithm == KeyAlgorithm::ec && group == type.group) return &type;
  }
  return nullptr;
}

// What subjectPublicKey holds (RFC 5480, 2.2; RFC 8410, 4); empty when the key does not tell it.
Bytes octets_of(const EVP_PKEY* key) {
  std::array<unsigned char, 200> octets;
  std::size_t size = 0;
  const bool told = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, octets.data(),
                                                    octets.size(), &size) == 1;
  return told ? Bytes(octets.begin(), octets.begin() + static_cast<ptrdiff_t>(size)) : Bytes{};
}

void set_parts(X509_PUBKEY* info, int algorithm, int parameter_type, ASN1_OBJECT* parameter,
               const Bytes& bits) {
  OpensslBytes copy(
      static_cast<unsigned char*>(check_ptr(OPENSSL_memdup(bits.data(), bits.size()), kEncoding)));
  check(X509_PUBKEY_set0_param(info, OBJ_nid2obj(algorithm), parameter_type, parameter, copy.get(),
                               static_cast<int>(bits.size())) == 1,
        kEncoding);
  static_cast<void>(copy.release());
}

// Encodes a key of the table as OpenSSL would; false for any other. OpenSSL's encoder looks through
// every format that it knows, which takes as long as all else that a request needs.
bool set_known_key(X509_PUBKEY* info, const EVP_PKEY* key) {
  ERR_set_mark();
  Bytes bits;
  int algorithm = NID_undef;
  const KeyType* curve = nullptr;
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    algorithm = NID_rsaEncryption;
    bits = rsa_numbers_der(key);
  } else if (EVP_PKEY_is_a(key, "ED25519") == 1) {
    algorithm = NID_ED25519;
    bits = octets_of(key);
  } else if (EVP_PKEY_is_a(key, "EC") == 1 && (curve = curve_of(key)) != nullptr) {
    algorithm = NID_X9_62_id_ecPublicKey;
    bits = octets_of(key);
  }
  ERR_pop_to_mark();
  if (bits.empty()) return false;
  if (curve != nullptr) {
    set_parts(info, algorithm, V_ASN1_OBJECT, OBJ_nid2obj(OBJ_txt2nid(curve->group)), bits);
  } else {
    set_parts(info, algorithm, algorithm == NID_ED25519 ? V_ASN1_UNDEF : V_ASN1_NULL, nullptr,
              bits);
  }
  return true;
}

}  // namespace

void set_public_key(X509_PUBKEY* info, const EVP_PKEY* key) {
  if (set_known_key(info, key)) return;
  const Bytes der = spki_of(key);
  const unsigned char* at = der.data();
  clear_errors();
  check(d2i_X509_PUBKEY(&info, &at, static_cast<long>(der.size())) != nullptr, kEncoding);
}

Bytes spki_of(const EVP_PKEY* key) {
  clear_errors();
  const PublicKeyInfo info(check_ptr(X509_PUBKEY_new(), kEncoding));
  if (set_known_key(info.get(), key)) return der_of(i2d_X509_PUBKEY, info.get());
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const OpensslBytes owner(der);
  check(size > 0, kEncoding);
  return Bytes(der, der + size);
}

PKey public_key_from_spki(ByteView der) {
  // OpenSSL's decoder tries one format after another; a token's key costs more that way than all
  // else that hsmith does for a signature. It reads what is not on one of our curves.
  const auto parts = parts_of(der);
  const KeyType* curve = parts ? curve_of(parts->algorithm) : nullptr;
  if (curve != nullptr) return ec_public_key(*curve, parts->bits);
  clear_errors();
  const unsigned char* at = der.data();
  PKey key(check_ptr(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())),
                     "read a public key of " + std::to_string(der.size()) + " bytes",
                     Kind::malformed));
  if (at != der.data() + der.size()) {
    throw Error(Kind::malformed, "read a public key of " + std::to_string(der.size()) +
                                     " bytes: more bytes follow its end");
  }
  // RFC 5480, 2.1.1. Parameters that are spelled out could be anyone's.
  int spelled_out = 0;
  EVP_PKEY_get_int_param(key.get(), OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out);
  clear_errors();
  if (spelled_out != 0) {
    throw Error(Kind::malformed, "read a public key: its curve is spelled out instead of named");
  }
  return key;
}

PKey rsa_public_key(ByteView modulus, ByteView exponent) {
  clear_errors();
  const std::string doing = "make an RSA public key from its numbers";
  const auto refuse = [&](const char* why) { return Error(Kind::malformed, doing + ": " + why); };
  if (modulus.empty() || exponent.empty()) throw refuse("a number is empty");
  if (modulus.size() > kLargestModulus) throw refuse("the modulus has more than 16384 bits");
  if (exponent.size() > modulus.size()) throw refuse("the exponent is longer than the modulus");
  const BigNumber n = big_number(modulus);
  const BigNumber e = big_number(exponent);
  if (!BN_is_odd(n.get()) || BN_num_bits(n.get()) < 512) throw refuse("that is no RSA modulus");
  if (!BN_is_odd(e.get()) || BN_is_one(e.get())) throw refuse("that is no RSA exponent");
  const ParamBuilder builder(check_ptr(OSSL_PARAM_BLD_new(), doing));
  check(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
            OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1,
        doing);
  return public_key_from("RSA", builder.get(), doing);
}

PKey ec_public_key(const KeyType& type, ByteView point) {
  clear_errors();
  const std::string doing =
      std::string("make a public key of type ") + type.name + " from its point";
  const std::size_t width = static_cast<std::size_t>(type.bits + 7) / 8;
  if (type.algorithm == KeyAlgorithm::ed25519) {
    if (point.size() != width) {
      throw Error(Kind::malformed,
                  doing + ": " + std::to_string(point.size()) + " bytes where 32 are needed");
    }
    return PKey(check_ptr(
        EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, point.data(), point.size()),
        doing, Kind::malformed));
  }
  // Neither the point at infinity (one byte) nor the hybrid form is a public key (SEC 1, 2.3.4).
  const bool uncompressed = point.size() == 1 + 2 * width && point[0] == 0x04;
  const bool compressed = point.size() == 1 + width && (point[0] == 0x02 || point[0] == 0x03);
  if (!uncompressed && !compressed) {
    throw Error(Kind::malformed,
                doing + ": " + std::to_string(point.size()) + " bytes are no point of this curve");
  }
  // A key that is copied would keep the compressed form of its point; all others have the other.
  if (compressed) return new_ec_public_key(type, point, doing);
  // A token may hold thousands of keys on one curve, and setting a curve up takes four times as
  // long as reading a point: from the second key on it is copied from the first.
  static std::mutex mutex;
  static auto& first_on = *new std::map<std::string_view, PKey>;  // OpenSSL may be gone at the end
  std::unique_lock lock(mutex);
  PKey& first = first_on[type.group];
  if (!first) {
    first = new_ec_public_key(type, point, doing);
    return share(first.get());
  }
  lock.unlock();  // it stays what it is
  return ec_public_key_like(first.get(), point, doing);
}

Bytes public_key_bits(const EVP_PKEY* key) {
  const Bytes spki = spki_of(key);
  const auto parts = parts_of(spki);
  check(parts.has_value(), "read a SubjectPublicKeyInfo", Kind::malformed);
  return to_bytes(parts->bits);
}

Bytes key_identifier(const EVP_PKEY* key) {
  return digest(digest_named("sha1"), public_key_bits(key));
}

bool same_public_key(const EVP_PKEY* a, const EVP_PKEY* b) {
  return a != nullptr && b != nullptr && EVP_PKEY_eq(a, b) == 1;
}

}  // namespace hsmith::ossl
