#include "src/recovery/private_key_blob.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx.h"
#include "src/recovery/private_key.h"
#include "src/x509/kind.h"

namespace hsmith::recovery {
namespace {

using SecretNumber = std::unique_ptr<BIGNUM, ossl::Deleter<BN_clear_free>>;
using NumberContext = std::unique_ptr<BN_CTX, ossl::Deleter<BN_CTX_free>>;
using ParamsBuilder = std::unique_ptr<OSSL_PARAM_BLD, ossl::Deleter<OSSL_PARAM_BLD_free>>;

constexpr std::array<unsigned char, 8> kHeader{7, 2, 0, 0, 0, 0xa4, 0, 0};  // CALG_RSA_KEYX
constexpr std::string_view kRsa2 = "RSA2";
constexpr std::string_view kRsa3 = "RSA3";
constexpr std::uint32_t kKeyExchange = 0x0000a400;
constexpr std::uint32_t kSignature = 0x00002400;
constexpr std::uint32_t kMostBits = 16384;
constexpr std::size_t kExponentSize = 4;

enum class Order { little, big };

// The blob's fields one after the other, each checked to be there.
class Fields {
 public:
  explicit Fields(ByteView blob) : rest_(blob) {}
  ByteView take(std::size_t size) {
    if (size > rest_.size()) throw Error(Kind::malformed, "the key blob is cut short");
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::uint32_t number() {
    const ByteView four = take(4);
    return static_cast<std::uint32_t>(four[0]) | static_cast<std::uint32_t>(four[1]) << 8 |
           static_cast<std::uint32_t>(four[2]) << 16 | static_cast<std::uint32_t>(four[3]) << 24;
  }
  // Unsigned: a highest bit that is set is no sign.
  SecretNumber integer(std::size_t size, Order order) {
    const ByteView bytes = take(size);
    SecretNumber value(ossl::check_ptr(BN_secure_new(), "read a private key"));
    const auto* read = order == Order::little
                           ? BN_lebin2bn(bytes.data(), static_cast<int>(bytes.size()), value.get())
                           : BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), value.get());
    ossl::check(read != nullptr, "read a private key");
    return value;
  }
  // Padding of encryptions that keep the length may follow.
  void end() const {
    const bool zeros = std::all_of(rest_.begin(), rest_.end(), [](auto byte) { return byte == 0; });
    if (rest_.size() > 16 || !zeros) throw Error(Kind::malformed, "bytes follow the key blob");
  }

 private:
  ByteView rest_;
};

struct RsaNumbers {
  SecretNumber n, e, d, p, q, dp, dq, iq;
};

ossl::PKey key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const ossl::Params params(ossl::check_ptr(OSSL_PARAM_BLD_to_param(builder), "make a key"));
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  ossl::check(context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params.get()) == 1,
              "make a private key of its numbers", Kind::malformed);
  return ossl::PKey(key);
}

ossl::PKey rsa_key(const RsaNumbers& numbers) {
  const ParamsBuilder builder(OSSL_PARAM_BLD_new());
  const std::pair<const char*, const SecretNumber*> all[] = {
      {OSSL_PKEY_PARAM_RSA_N, &numbers.n},          {OSSL_PKEY_PARAM_RSA_E, &numbers.e},
      {OSSL_PKEY_PARAM_RSA_D, &numbers.d},          {OSSL_PKEY_PARAM_RSA_FACTOR1, &numbers.p},
      {OSSL_PKEY_PARAM_RSA_FACTOR2, &numbers.q},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, &numbers.dp},
      {OSSL_PKEY_PARAM_RSA_EXPONENT2, &numbers.dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &numbers.iq},
  };
  for (const auto& [name, number] : all) {
    ossl::check(OSSL_PARAM_BLD_push_BN(builder.get(), name, number->get()) == 1,
                "make a private key of its numbers");
  }
  return key_from("RSA", builder.get());
}

SecretNumber fresh() {
  return SecretNumber(ossl::check_ptr(BN_secure_new(), "compute with a private key"));
}

// d and the CRT numbers, which CNG's short form leaves out.
void complete(RsaNumbers& numbers) {
  const NumberContext context(BN_CTX_secure_new());
  const SecretNumber p1 = fresh(), q1 = fresh(), gcd = fresh(), product = fresh(), lambda = fresh();
  numbers.d = fresh();
  numbers.dp = fresh();
  numbers.dq = fresh();
  numbers.iq = fresh();
  ossl::clear_errors();
  const bool done =
      BN_sub(p1.get(), numbers.p.get(), BN_value_one()) == 1 &&
      BN_sub(q1.get(), numbers.q.get(), BN_value_one()) == 1 &&
      BN_gcd(gcd.get(), p1.get(), q1.get(), context.get()) == 1 &&
      BN_mul(product.get(), p1.get(), q1.get(), context.get()) == 1 &&
      BN_div(lambda.get(), nullptr, product.get(), gcd.get(), context.get()) == 1 &&
      BN_mod_inverse(numbers.d.get(), numbers.e.get(), lambda.get(), context.get()) != nullptr &&
      BN_mod(numbers.dp.get(), numbers.d.get(), p1.get(), context.get()) == 1 &&
      BN_mod(numbers.dq.get(), numbers.d.get(), q1.get(), context.get()) == 1 &&
      BN_mod_inverse(numbers.iq.get(), numbers.q.get(), numbers.p.get(), context.get()) != nullptr;
  ossl::check(done, "compute the numbers of an RSA key", Kind::malformed);
}

void check_bits(std::uint32_t bits) {
  if (bits >= 512 && bits <= kMostBits) return;
  throw Error(Kind::malformed, fmt::format("the key blob says {} bits", bits));
}

// [MS-WCCE] 2.2.2.9.1: everything little-endian and unsigned.
ossl::PKey read_cryptoapi(ByteView blob) {
  Fields fields(blob);
  fields.take(4);
  const std::uint32_t algorithm = fields.number();
  if (algorithm == kSignature)
    throw Error(Kind::refused, "the key blob holds a key for signatures (AT_SIGNATURE)");
  if (algorithm != kKeyExchange || as_text(fields.take(4)) != kRsa2)
    throw Error(Kind::malformed, "the key blob holds no RSA key for encryption");
  const std::uint32_t bits = fields.number();
  check_bits(bits);
  const std::size_t whole = (bits + 7) / 8;
  const std::size_t half = (bits + 15) / 16;
  RsaNumbers numbers;
  numbers.e = fields.integer(4, Order::little);
  numbers.n = fields.integer(whole, Order::little);
  numbers.p = fields.integer(half, Order::little);
  numbers.q = fields.integer(half, Order::little);
  numbers.dp = fields.integer(half, Order::little);
  numbers.dq = fields.integer(half, Order::little);
  numbers.iq = fields.integer(half, Order::little);
  numbers.d = fields.integer(whole, Order::little);
  fields.end();
  return rsa_key(numbers);
}

// BCRYPT_RSAKEY_BLOB: sizes, then the numbers; RSA3 carries the CRT numbers and d as well.
ossl::PKey read_cng_rsa(ByteView blob, Order order) {
  Fields fields(blob);
  const bool full = as_text(fields.take(4)) == kRsa3;
  check_bits(fields.number());
  const std::uint32_t exponent = fields.number(), modulus = fields.number(), p = fields.number(),
                      q = fields.number();
  RsaNumbers numbers;
  numbers.e = fields.integer(exponent, order);
  numbers.n = fields.integer(modulus, order);
  numbers.p = fields.integer(p, order);
  numbers.q = fields.integer(q, order);
  if (!full) {
    fields.end();
    complete(numbers);
    return rsa_key(numbers);
  }
  numbers.dp = fields.integer(p, order);
  numbers.dq = fields.integer(q, order);
  numbers.iq = fields.integer(p, order);
  numbers.d = fields.integer(modulus, order);
  fields.end();
  return rsa_key(numbers);
}

// BCRYPT_ECCKEY_BLOB of an ECDH key: size, X, Y, d.
ossl::PKey read_cng_ec(ByteView blob, Order order) {
  Fields fields(blob);
  const char curve = as_text(fields.take(4))[3];
  const char* group = curve == '2' ? "P-256" : curve == '4' ? "P-384" : "P-521";
  const std::uint32_t size = fields.number();
  if (size != (curve == '2' ? 32U : curve == '4' ? 48U : 66U))
    throw Error(Kind::malformed, fmt::format("the key blob says {} bytes for {}", size, group));
  Bytes point{4};
  for (int coordinate = 0; coordinate < 2; ++coordinate) {
    Bytes bytes = to_bytes(fields.take(size));
    if (order == Order::little) std::reverse(bytes.begin(), bytes.end());
    point.insert(point.end(), bytes.begin(), bytes.end());
  }
  const SecretNumber d = fields.integer(size, order);
  fields.end();
  const ParamsBuilder builder(OSSL_PARAM_BLD_new());
  ossl::check(
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
          OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                           point.size()) == 1 &&
          OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, d.get()) == 1,
      "make a private key of its numbers");
  return key_from("EC", builder.get());
}

bool is_cng_rsa(ByteView blob) {
  const std::string_view start = as_text(blob.first(std::min<std::size_t>(blob.size(), 4)));
  return start == kRsa2 || start == kRsa3;
}

bool is_cng_ec(ByteView blob) {
  const std::string_view start = as_text(blob.first(std::min<std::size_t>(blob.size(), 4)));
  return start == "ECK2" || start == "ECK4" || start == "ECK6";
}

ossl::PKey proved(ossl::PKey key, EVP_PKEY* expected) {
  const std::string problem = pair_problem(key.get(), expected);
  if (!problem.empty()) throw Error(Kind::mismatch, "the private key does not fit: " + problem);
  return key;
}

template <typename Read>
ossl::PKey in_both_orders(ByteView blob, EVP_PKEY* expected, const Read& read) {
  try {
    return proved(read(blob, Order::big), expected);
  } catch (const Error&) {
    return proved(read(blob, Order::little), expected);
  }
}

// A PKCS#12 file of which nobody knows a password: one that has one is no key.
Pfx read_without_password(ByteView plaintext, const std::string& input) {
  try {
    return read_pfx(plaintext, input, Secret());
  } catch (const Error& error) {
    if (error.kind() != Kind::pin_incorrect) throw;
    throw Error(Kind::mismatch, "it is a PKCS#12 file with a password, or a damaged one");
  }
}

// The one of its keys that is meant.
ossl::PKey read_pkcs12(ByteView plaintext, EVP_PKEY* expected, const std::string& input) {
  Pfx pfx = read_without_password(plaintext, input);
  for (PfxKey& one : pfx.keys) {
    if (ossl::same_public_key(one.key.get(), expected)) return proved(std::move(one.key), expected);
  }
  throw Error(Kind::mismatch, "the private key does not fit: it is not in the PKCS#12 file");
}

ossl::PKey read_any(ByteView plaintext, EVP_PKEY* expected, const std::string& input) {
  if (plaintext.size() >= 2 && plaintext[0] == kHeader[0] && plaintext[1] == kHeader[1])
    return proved(read_cryptoapi(plaintext), expected);
  if (is_cng_rsa(plaintext)) return in_both_orders(plaintext, expected, read_cng_rsa);
  if (is_cng_ec(plaintext)) return in_both_orders(plaintext, expected, read_cng_ec);
  if (x509::kind_of_der(plaintext) == "a PKCS#12 file")
    return read_pkcs12(plaintext, expected, input);
  return proved(private_key_from_der(plaintext, input), expected);
}

// OpenSSL takes keys whose numbers are longer than the blob's fields.
void append(Bytes& blob, const EVP_PKEY* key, const char* name, std::size_t size) {
  BIGNUM* value = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "write a private key blob");
  const SecretNumber number(value);
  const std::size_t at = blob.size();
  blob.resize(at + size);  // within what was reserved
  if (BN_bn2lebinpad(number.get(), blob.data() + at, static_cast<int>(size)) ==
      static_cast<int>(size)) {
    return;
  }
  wipe(blob.data(), blob.size());
  throw Error(
      Kind::unsupported,
      size == kExponentSize
          ? "its public exponent is longer than the 32 bits that a PRIVATEKEYBLOB has for it"
          : "its numbers are longer than a PRIVATEKEYBLOB of its modulus has room for");
}

}  // namespace

Secret archived_form(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "EC") == 1) return private_key_der(key);
  if (EVP_PKEY_is_a(key, "RSA") != 1)
    throw Error(Kind::unsupported, "archive a key that is neither RSA nor EC");
  const auto bits = static_cast<std::size_t>(EVP_PKEY_get_bits(key));
  const std::size_t whole = (bits + 7) / 8;
  const std::size_t half = (bits + 15) / 16;
  Bytes blob;
  blob.reserve(20 + 2 * whole + 5 * half);
  blob.insert(blob.end(), kHeader.begin(), kHeader.end());
  blob.insert(blob.end(), kRsa2.begin(), kRsa2.end());
  for (int shift = 0; shift < 32; shift += 8)
    blob.push_back(static_cast<unsigned char>(bits >> shift));
  append(blob, key, OSSL_PKEY_PARAM_RSA_E, kExponentSize);
  append(blob, key, OSSL_PKEY_PARAM_RSA_N, whole);
  for (const char* name :
       {OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1}) {
    append(blob, key, name, half);
  }
  append(blob, key, OSSL_PKEY_PARAM_RSA_D, whole);
  return Secret::take(std::move(blob));
}

std::vector<Bytes> archived_openings(EVP_PKEY* public_key, std::size_t size) {
  std::vector<Bytes> openings;
  if (EVP_PKEY_is_a(public_key, "RSA") == 1) {
    Bytes opening(kHeader.begin(), kHeader.end());
    opening.insert(opening.end(), kRsa2.begin(), kRsa2.end());
    const int bits = EVP_PKEY_get_bits(public_key);
    for (int shift = 0; shift < 32; shift += 8)
      opening.push_back(static_cast<unsigned char>(bits >> shift));
    openings.push_back(std::move(opening));
  } else {
    // PKCS#8 begins alike for all keys of a curve, with a point of one form in it or without.
    const char* doing = "make a key of the same curve";
    const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, public_key, nullptr));
    EVP_PKEY* made = nullptr;
    ossl::check(context && EVP_PKEY_keygen_init(context.get()) == 1 &&
                    EVP_PKEY_keygen(context.get(), &made) == 1,
                doing);
    const ossl::PKey sample(made);
    for (const char* form : {"uncompressed", "compressed"}) {
      ossl::check(EVP_PKEY_set_utf8_string_param(made, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                 form) == 1,
                  doing);
      openings.push_back(to_bytes(private_key_der(sample.get()).reveal().first(size)));
    }
    ossl::check(EVP_PKEY_set_int_param(made, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0) == 1, doing);
    openings.push_back(to_bytes(private_key_der(sample.get()).reveal().first(size)));
  }
  for (Bytes& opening : openings) opening.resize(size);
  return openings;
}

ossl::PKey read_archived_key(ByteView plaintext, EVP_PKEY* expected, const std::string& input) {
  try {
    return read_any(plaintext, expected, input);
  } catch (const Error& error) {
    throw error.during(fmt::format("read the private key of {}", input));
  }
}

}  // namespace hsmith::recovery
