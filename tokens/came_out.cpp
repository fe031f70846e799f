#include "tokens/came_out.h"

#include <openssl/core_names.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/private_key.h"
#include "src/x509/input.h"

namespace hsmith::tokens {
namespace {

using SecretNumber = std::unique_ptr<BIGNUM, ossl::Deleter<BN_clear_free>>;
using Arithmetic = std::unique_ptr<BN_CTX, ossl::Deleter<BN_CTX_free>>;
using Group = std::unique_ptr<EC_GROUP, ossl::Deleter<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, ossl::Deleter<EC_POINT_clear_free>>;

constexpr const char* kComparing = "compare what came out of a token";

SecretNumber number_of(ByteView bytes) {
  return SecretNumber(ossl::check_ptr(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), kComparing));
}

SecretNumber number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, name, &number) == 1, kComparing);
  return SecretNumber(number);
}

// RFC 8017, 3.2. `power` is d, dP or dQ: 2 ^ (e * power) is 2 again, modulo n or one of its primes.
bool undoes_exponent(const BIGNUM* n, const BIGNUM* e, const BIGNUM* power, BN_CTX* arithmetic) {
  const SecretNumber two = number_of(Bytes{2});
  const SecretNumber once(BN_new());
  const SecretNumber twice(BN_new());
  const SecretNumber common(BN_new());
  ossl::check(BN_mod_exp(once.get(), two.get(), e, n, arithmetic) == 1 &&
                  BN_mod_exp(twice.get(), once.get(), power, n, arithmetic) == 1 &&
                  BN_mod_sub(twice.get(), twice.get(), two.get(), n, arithmetic) == 1 &&
                  BN_gcd(common.get(), twice.get(), n, arithmetic) == 1,
              kComparing);
  return !BN_is_one(common.get());
}

bool divides(const BIGNUM* n, const BIGNUM* prime, BN_CTX* arithmetic) {
  if (BN_is_zero(prime) || BN_is_one(prime) || BN_cmp(prime, n) >= 0) return false;
  const SecretNumber rest(BN_new());
  ossl::check(BN_mod(rest.get(), n, prime, arithmetic) == 1, kComparing);
  return BN_is_zero(rest.get());
}

CameOut rsa_came_out(CK_ATTRIBUTE_TYPE type, ByteView value, EVP_PKEY* half) {
  const Arithmetic arithmetic(BN_CTX_secure_new());
  const SecretNumber n = number_of(half, OSSL_PKEY_PARAM_RSA_N);
  const SecretNumber e = number_of(half, OSSL_PKEY_PARAM_RSA_E);
  const SecretNumber number = number_of(value);
  const auto answer = [](bool is) { return is ? CameOut::the_key : CameOut::something_else; };
  switch (type) {
    case CKA_PRIME_1:
    case CKA_PRIME_2:
      return answer(divides(n.get(), number.get(), arithmetic.get()));
    case CKA_PRIVATE_EXPONENT:
    case CKA_EXPONENT_1:
    case CKA_EXPONENT_2:
      return answer(undoes_exponent(n.get(), e.get(), number.get(), arithmetic.get()));
    default:
      return CameOut::unknown;  // CKA_COEFFICIENT tells nothing without a prime
  }
}

// SEC 1, 3.2.1: Q = d G.
bool is_curve_number(ByteView value, EVP_PKEY* half) {
  char name[64] = {};
  if (EVP_PKEY_get_group_name(half, name, sizeof name, nullptr) != 1) return false;
  const Arithmetic arithmetic(BN_CTX_secure_new());
  const Group group(EC_GROUP_new_by_curve_name(OBJ_txt2nid(name)));
  ossl::check(group != nullptr, kComparing);
  const Point made(EC_POINT_new(group.get()));
  const Point expected(EC_POINT_new(group.get()));
  const Bytes bits = ossl::public_key_bits(half);
  const SecretNumber number = number_of(value);
  if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0)
    return false;
  ossl::check(EC_POINT_oct2point(group.get(), expected.get(), bits.data(), bits.size(),
                                 arithmetic.get()) == 1 &&
                  EC_POINT_mul(group.get(), made.get(), number.get(), nullptr, nullptr,
                               arithmetic.get()) == 1,
              kComparing);
  return EC_POINT_cmp(group.get(), made.get(), expected.get(), arithmetic.get()) == 0;
}

// RFC 8032, 5.1.5: the seed; bare, in an OCTET STRING, or with the public key behind it.
bool is_seed(ByteView value, EVP_PKEY* half) {
  constexpr std::size_t kSize = 32;
  if (value.size() == kSize + 2) value = value.subspan(2);
  if (value.size() < kSize) return false;
  const ossl::PKey key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, value.data(), kSize));
  return key && ossl::same_public_key(key.get(), half);
}

bool is_private_number(ByteView value, EVP_PKEY* half) {
  if (ossl::algorithm_of(half) == ossl::KeyAlgorithm::ed25519) return is_seed(value, half);
  return is_curve_number(value, half);
}

}  // namespace

CameOut attribute_came_out(CK_ATTRIBUTE_TYPE type, ByteView value, EVP_PKEY* public_half) {
  if (public_half == nullptr) return CameOut::unknown;
  if (ossl::algorithm_of(public_half) == ossl::KeyAlgorithm::rsa)
    return rsa_came_out(type, value, public_half);
  return is_private_number(value, public_half) ? CameOut::the_key : CameOut::something_else;
}

CameOut key_came_out(ByteView bytes, EVP_PKEY* public_half) {
  if (public_half == nullptr) return CameOut::unknown;
  const std::size_t size = x509::der_element_size(bytes);
  if (size != 0 && size <= bytes.size()) {
    try {
      const ossl::PKey key = recovery::private_key_from_der(bytes.first(size), "what came out");
      return recovery::pair_problem(key.get(), public_half).empty() ? CameOut::the_key
                                                                    : CameOut::something_else;
    } catch (const Error&) {  // it may be a bare number that begins like DER
    }
  }
  const bool is_bare = ossl::algorithm_of(public_half) != ossl::KeyAlgorithm::rsa &&
                       is_private_number(bytes, public_half);
  return is_bare ? CameOut::the_key : CameOut::unknown;
}

}  // namespace hsmith::tokens
