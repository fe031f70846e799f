#include "src/x509/weak_keys.h"

#include <algorithm>
#include <bitset>
#include <fmt/format.h>
#include <limits>
#include <openssl/core_names.h>
#include <utility>

#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"

namespace hsmith::x509 {
namespace {

constexpr int kMostBits = 16384;
constexpr unsigned kSmallPrimes = 1u << 16;
constexpr int kFermatRounds = 100;

using BigNumberContext = std::unique_ptr<BN_CTX, ossl::Deleter<BN_CTX_free>>;

ossl::BigNumber number() { return ossl::BigNumber(ossl::check_ptr(BN_new(), "make a number")); }

void must(int ok) { ossl::check(ok == 1, "calculate with a key's numbers"); }

ossl::BigNumber parameter(const EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "read the numbers of an RSA key",
              Kind::malformed);
  return ossl::BigNumber(value);
}

std::vector<unsigned> primes_below(unsigned limit) {
  std::vector<bool> composite(limit);
  std::vector<unsigned> primes;
  for (unsigned i = 2; i < limit; ++i) {
    if (composite[i]) continue;
    primes.push_back(i);
    for (unsigned long multiple = 1ul * i * i; multiple < limit; multiple += i) {
      composite[multiple] = true;
    }
  }
  return primes;
}

// The primes that Infineon's library makes are powers of 65537 modulo each of the first primes, and
// so is their product (CVE-2017-15361; Nemec et al., "The Return of Coppersmith's Attack", 2017). A
// sound modulus passes this for all primes up to 167 about once in 2^27.
bool has_roca_fingerprint(const BIGNUM* n) {
  for (const unsigned prime : primes_below(168)) {
    std::bitset<168> powers;
    for (unsigned power = 1; !powers[power]; power = power * (65537u % prime) % prime) {
      powers[power] = true;
    }
    if (!powers[static_cast<std::size_t>(BN_mod_word(n, prime))]) return false;
  }
  return true;
}

bool has_small_factor(const BIGNUM* n) {
  static const std::vector<unsigned> kPrimes = primes_below(kSmallPrimes);
  // One division by as many of them as fit into a word together.
  for (auto next = kPrimes.begin(); next != kPrimes.end();) {
    const auto first = next;
    BN_ULONG product = 1;
    while (next != kPrimes.end() && product <= std::numeric_limits<BN_ULONG>::max() / *next)
      product *= *next++;
    const BN_ULONG rest = BN_mod_word(n, product);
    if (std::any_of(first, next, [&](unsigned prime) { return rest % prime == 0; })) return true;
  }
  return false;
}

// The largest number whose square is not above n: Newton's method from above.
ossl::BigNumber square_root(const BIGNUM* n, BN_CTX* context) {
  ossl::BigNumber root = number();
  const ossl::BigNumber next = number();
  must(BN_set_bit(root.get(), (BN_num_bits(n) + 1) / 2));
  while (true) {
    must(BN_div(next.get(), nullptr, n, root.get(), context));
    must(BN_add(next.get(), next.get(), root.get()));
    must(BN_rshift1(next.get(), next.get()));
    if (BN_cmp(next.get(), root.get()) >= 0) return root;
    must(BN_copy(root.get(), next.get()) != nullptr ? 1 : 0);
  }
}

// False for all but one in a hundred numbers that are no squares: modulo each of these only some
// numbers are.
bool may_be_square(const BIGNUM* n) {
  for (const unsigned modulus : {64u, 63u, 65u, 11u}) {
    const BN_ULONG rest = BN_mod_word(n, modulus);
    unsigned root = 0;
    while (root < modulus && root * root % modulus != rest) ++root;
    if (root == modulus) return false;
  }
  return true;
}

bool is_square(const BIGNUM* n, BN_CTX* context) {
  if (BN_is_zero(n)) return true;
  if (!may_be_square(n)) return false;
  const ossl::BigNumber square = number();
  must(BN_sqr(square.get(), square_root(n, context).get(), context));
  return BN_cmp(square.get(), n) == 0;
}

// Fermat: n = a^2 - b^2 with a just above the root of n, when the primes are close.
bool has_close_primes(const BIGNUM* n) {
  const BigNumberContext context(ossl::check_ptr(BN_CTX_new(), "make a number"));
  const ossl::BigNumber a = square_root(n, context.get());
  const ossl::BigNumber rest = number();
  for (int round = 0; round < kFermatRounds; ++round) {
    must(BN_sqr(rest.get(), a.get(), context.get()));
    must(BN_sub(rest.get(), rest.get(), n));
    if (!BN_is_negative(rest.get()) && is_square(rest.get(), context.get())) return true;
    must(BN_add_word(a.get(), 1));
  }
  return false;
}

// Some broken generators fill only part of each machine word, so that zeros stand in the same
// place of nearly every word.
bool has_pattern(const BIGNUM* n) {
  const int bits = BN_num_bits(n);
  for (const int word : {32, 64}) {
    const int words = bits / word;
    for (int place = 0; place + 8 <= word; ++place) {
      int empty = 0;
      for (int i = 0; i < words; ++i) {
        bool any = false;
        for (int bit = 0; bit < 8; ++bit) any |= BN_is_bit_set(n, i * word + place + bit) == 1;
        if (!any) ++empty;
      }
      if (words >= 8 && empty * 4 >= words * 3) return true;
    }
  }
  return false;
}

void add(std::vector<Finding>& findings, Severity severity, const char* code, std::string text) {
  findings.push_back({severity, code, std::move(text)});
}

void check_exponent(const BIGNUM* n, const BIGNUM* e, std::vector<Finding>& findings) {
  if (!BN_is_odd(e) || BN_is_one(e) || BN_cmp(e, n) >= 0) {
    add(findings, Severity::error, "rsa_exponent_invalid",
        "the RSA key has an invalid exponent: even, one, or larger than the modulus");
  } else if (BN_num_bits(e) > 256) {
    add(findings, Severity::warning, "rsa_exponent_large",
        "the RSA key's exponent has more than 256 bits; some programs refuse it");
  } else if (BN_num_bits(e) < 17) {
    add(findings, Severity::warning, "rsa_exponent_small",
        "the RSA key's exponent is smaller than 65537; some authorities refuse it");
  }
}

std::vector<Finding> rsa_weaknesses(const EVP_PKEY* key) {
  std::vector<Finding> findings;
  const ossl::BigNumber n = parameter(key, OSSL_PKEY_PARAM_RSA_N);
  const ossl::BigNumber e = parameter(key, OSSL_PKEY_PARAM_RSA_E);
  const int bits = BN_num_bits(n.get());
  if (bits > kMostBits) {
    add(findings, Severity::error, "rsa_too_large",
        fmt::format("the RSA key has {} bits, more than {}", bits, kMostBits));
    return findings;
  }
  if (bits < 2048) {
    add(findings, Severity::error, "rsa_too_small",
        fmt::format("the RSA key has {} bits, less than 2048", bits));
  } else if (bits % 8 != 0) {
    add(findings, Severity::warning, "rsa_odd_size",
        fmt::format("the RSA key has {} bits, not a multiple of 8; public authorities refuse it",
                    bits));
  }
  check_exponent(n.get(), e.get(), findings);
  if (bits < 64 || !BN_is_odd(n.get()) || has_small_factor(n.get())) {
    add(findings, Severity::error, "rsa_small_factors", "the RSA key's modulus has small factors");
  } else if (has_close_primes(n.get())) {
    add(findings, Severity::error, "rsa_close_primes",
        "the RSA key's primes are close: Fermat's method factors it");
  } else if (has_roca_fingerprint(n.get())) {
    add(findings, Severity::error, "roca",
        "the RSA key was made by the broken Infineon library (ROCA, CVE-2017-15361)");
  } else if (has_pattern(n.get())) {
    add(findings, Severity::error, "rsa_patterned_modulus",
        "the RSA key has a patterned modulus: its generator is broken");
  }
  return findings;
}

std::vector<Finding> ec_weaknesses(const EVP_PKEY* key) {
  std::vector<Finding> findings;
  int spelt_out = 0;
  const bool known =
      EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelt_out) == 1;
  ossl::clear_errors();
  if (known && spelt_out == 1) {
    add(findings, Severity::error, "ec_explicit_parameters",
        "the EC key spells out its curve instead of naming it");
  }
  if (EVP_PKEY_get_bits(key) < 224) {
    add(findings, Severity::error, "ec_too_small",
        fmt::format("the EC key has {} bits, less than 224", EVP_PKEY_get_bits(key)));
  }
  return findings;
}

}  // namespace

std::vector<Finding> key_weaknesses(const EVP_PKEY* key) {
  ossl::clear_errors();
  if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
    return rsa_weaknesses(key);
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) return ec_weaknesses(key);
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return {};
  return {{Severity::notice, "key_not_judged",
           fmt::format("hsmith does not judge keys of the type {}", ossl::key_type_name(key))}};
}

}  // namespace hsmith::x509
