#include "src/ossl/public_formats.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/core_names.h>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

// A number of the key, big-endian, at least `width` bytes.
Bytes number(const EVP_PKEY* key, const char* name, int width) {
  BIGNUM* value = nullptr;
  check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "read a public key");
  const BigNumber owned(value);
  Bytes bytes(static_cast<std::size_t>(std::max(width, BN_num_bytes(value))));
  check(BN_bn2binpad(value, bytes.data(), static_cast<int>(bytes.size())) >= 0,
        "read a public key");
  return bytes;
}

struct Curve {
  const char* type;  // hsmith's name
  const char* ssh;
  const char* jwk;
};
constexpr Curve kCurves[] = {{"ec:p256", "nistp256", "P-256"},
                             {"ec:p384", "nistp384", "P-384"},
                             {"ec:p521", "nistp521", "P-521"}};

const Curve& curve_of(const EVP_PKEY* key) {
  const std::string type = key_type_name(key);
  for (const Curve& curve : kCurves) {
    if (type == curve.type) return curve;
  }
  throw Error(Kind::unsupported,
              fmt::format("write a public key of type {}: the format does not have it", type));
}

void add_string(Bytes& blob, ByteView value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    blob.push_back(static_cast<unsigned char>(value.size() >> shift));
  blob.insert(blob.end(), value.begin(), value.end());
}

// An mpint is signed: a leading one bit wants a zero byte before it.
void add_mpint(Bytes& blob, Bytes value) {
  if (!value.empty() && (value.front() & 0x80) != 0) value.insert(value.begin(), 0);
  add_string(blob, value);
}

}  // namespace

std::string ssh_public_key(const EVP_PKEY* key) {
  Bytes blob;
  std::string name;
  switch (algorithm_of(key)) {
    case KeyAlgorithm::rsa:
      name = "ssh-rsa";
      add_string(blob, as_bytes(name));
      add_mpint(blob, number(key, OSSL_PKEY_PARAM_RSA_E, 1));
      add_mpint(blob, number(key, OSSL_PKEY_PARAM_RSA_N, 1));
      break;
    case KeyAlgorithm::ec: {
      const std::string curve = curve_of(key).ssh;
      name = "ecdsa-sha2-" + curve;
      add_string(blob, as_bytes(name));
      add_string(blob, as_bytes(curve));
      add_string(blob, public_key_bits(key));
      break;
    }
    default:
      name = "ssh-ed25519";
      add_string(blob, as_bytes(name));
      add_string(blob, public_key_bits(key));
  }
  return name + " " + base64(blob);
}

std::string jwk(const EVP_PKEY* key) {
  switch (algorithm_of(key)) {
    case KeyAlgorithm::rsa:
      return fmt::format(R"({{"e":"{}","kty":"RSA","n":"{}"}})",
                         base64url(number(key, OSSL_PKEY_PARAM_RSA_E, 1)),
                         base64url(number(key, OSSL_PKEY_PARAM_RSA_N, 1)));
    case KeyAlgorithm::ec: {
      const int width = (EVP_PKEY_get_bits(key) + 7) / 8;
      return fmt::format(R"({{"crv":"{}","kty":"EC","x":"{}","y":"{}"}})", curve_of(key).jwk,
                         base64url(number(key, OSSL_PKEY_PARAM_EC_PUB_X, width)),
                         base64url(number(key, OSSL_PKEY_PARAM_EC_PUB_Y, width)));
    }
    default:
      return fmt::format(R"({{"crv":"Ed25519","kty":"OKP","x":"{}"}})",
                         base64url(public_key_bits(key)));
  }
}

}  // namespace hsmith::ossl
