#include "src/recovery/private_key_blob.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/private_key.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::recovery {
namespace {

using tests::error_of;
using tests::generate_software_key;

Bytes number(const EVP_PKEY* key, const char* name, std::size_t size) {
  BIGNUM* value = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &value), 1) << name;
  Bytes bytes(size);
  EXPECT_EQ(BN_bn2binpad(value, bytes.data(), static_cast<int>(size)), static_cast<int>(size));
  BN_clear_free(value);
  return bytes;
}

void put_number(Bytes& blob, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8)
    blob.push_back(static_cast<unsigned char>(value >> shift));
}

void put(Bytes& blob, Bytes bytes, bool little) {
  if (little) std::reverse(bytes.begin(), bytes.end());
  blob.insert(blob.end(), bytes.begin(), bytes.end());
}

// As CNG exports an RSA key: BCRYPT_RSAPRIVATE_BLOB or BCRYPT_RSAFULLPRIVATE_BLOB.
Bytes cng_rsa(const EVP_PKEY* key, bool full, bool little) {
  Bytes blob = to_bytes(as_bytes(full ? "RSA3" : "RSA2"));
  for (const std::uint32_t value : {2048U, 3U, 256U, 128U, 128U}) put_number(blob, value);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_E, 3), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_N, 256), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_FACTOR1, 128), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_FACTOR2, 128), little);
  if (!full) return blob;
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, 128), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, 128), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 128), little);
  put(blob, number(key, OSSL_PKEY_PARAM_RSA_D, 256), little);
  return blob;
}

Bytes cng_ec(const EVP_PKEY* key, char curve, std::uint32_t size, bool little) {
  Bytes blob = to_bytes(as_bytes("ECK"));
  blob.push_back(static_cast<unsigned char>(curve));
  put_number(blob, size);
  put(blob, number(key, OSSL_PKEY_PARAM_EC_PUB_X, size), little);
  put(blob, number(key, OSSL_PKEY_PARAM_EC_PUB_Y, size), little);
  put(blob, number(key, OSSL_PKEY_PARAM_PRIV_KEY, size), little);
  return blob;
}

class PrivateKeyBlob : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { rsa() = generate_software_key("rsa:2048"); }
  static void TearDownTestSuite() { rsa().reset(); }
  static ossl::PKey& rsa() {
    static ossl::PKey key;
    return key;
  }
  static void expect_reads(ByteView blob, EVP_PKEY* key) {
    const ossl::PKey read = read_archived_key(blob, key, "the blob");
    EXPECT_TRUE(equal(private_key_der(read.get()).reveal(), private_key_der(key).reveal()));
  }
};

TEST_F(PrivateKeyBlob, IsWhatOpenSslWritesByteForByte) {
  const Secret ours = archived_form(rsa().get());
  const ossl::Bio bio(BIO_new(BIO_s_mem()));
  ASSERT_GT(i2b_PrivateKey_bio(bio.get(), rsa().get()), 0);
  const unsigned char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  EXPECT_TRUE(equal(ours.reveal(), {data, static_cast<std::size_t>(size)}));
  EXPECT_EQ(ours.size(), 1172U);
}

TEST_F(PrivateKeyBlob, IsReadBack) {
  expect_reads(archived_form(rsa().get()).reveal(), rsa().get());
}

TEST_F(PrivateKeyBlob, TheFormsOfCngAreReadInBothByteOrders) {
  for (const bool little : {false, true}) {
    for (const bool full : {false, true}) {
      const ossl::PKey read =
          read_archived_key(cng_rsa(rsa().get(), full, little), rsa().get(), "the blob");
      EXPECT_EQ(pair_problem(read.get(), rsa().get()), "");
    }
  }
  for (const auto& [type, curve, size] :
       {std::tuple{"ec:p256", '2', 32U}, {"ec:p384", '4', 48U}, {"ec:p521", '6', 66U}}) {
    const ossl::PKey key = generate_software_key(type);
    for (const bool little : {false, true}) {
      const ossl::PKey read =
          read_archived_key(cng_ec(key.get(), curve, size, little), key.get(), "the blob");
      EXPECT_EQ(pair_problem(read.get(), key.get()), "");
    }
  }
}

TEST_F(PrivateKeyBlob, Pkcs8IsReadForEveryKey) {
  for (const char* type : {"ec:p256", "ec:p521"}) {
    const ossl::PKey key = generate_software_key(type);
    expect_reads(archived_form(key.get()).reveal(), key.get());
  }
  expect_reads(private_key_der(rsa().get()).reveal(), rsa().get());
}

TEST_F(PrivateKeyBlob, AnotherKeyIsAMismatch) {
  const ossl::PKey other = generate_software_key("rsa:2048");
  const Error error = error_of(
      [&] { read_archived_key(archived_form(rsa().get()).reveal(), other.get(), "the blob"); });
  EXPECT_EQ(error.kind(), Kind::mismatch);
  EXPECT_STREQ(error.what(),
               "read the private key of the blob: the private key does not fit: it belongs to "
               "another public key");
}

TEST_F(PrivateKeyBlob, AnyBitOfANumberThatIsWrongIsFound) {
  const Secret good = archived_form(rsa().get());
  // One bit inside each number: n, p, q, dp, dq, iq, d.
  for (const std::size_t at : {40U, 280U, 410U, 540U, 670U, 800U, 930U}) {
    Bytes blob = to_bytes(good.reveal());
    blob[at] ^= 4;
    EXPECT_THROW(read_archived_key(blob, rsa().get(), "the blob"), Error) << at;
  }
}

TEST_F(PrivateKeyBlob, ASignatureKeyIsRefused) {
  Bytes blob = to_bytes(archived_form(rsa().get()).reveal());
  blob[5] = 0x24;
  EXPECT_EQ(error_of([&] { read_archived_key(blob, rsa().get(), "x"); }).kind(), Kind::refused);
}

TEST_F(PrivateKeyBlob, ACutBlobIsMalformedWhereverItIsCut) {
  const Secret good = archived_form(rsa().get());
  for (std::size_t size = 0; size < good.size(); size += 37) {
    EXPECT_EQ(
        error_of([&] { read_archived_key(good.reveal().first(size), rsa().get(), "x"); }).kind(),
        Kind::malformed)
        << size;
  }
}

TEST_F(PrivateKeyBlob, AnExponentReducedModuloLambdaIsGood) {
  // As in the one key of Windows that could be looked into: e d = 1 modulo lcm(p-1, q-1) only.
  const Bytes blob = cng_rsa(rsa().get(), false, false);  // hsmith computes d so itself
  const ossl::PKey read = read_archived_key(blob, rsa().get(), "x");
  EXPECT_EQ(pair_problem(read.get(), rsa().get()), "");
}

}  // namespace
}  // namespace hsmith::recovery
