#include "src/ossl/rsa_padding.h"

#include <gmock/gmock.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using tests::error_of;
using tests::MemoryKey;

RsaEncryption oaep(std::string_view digest, std::string_view mgf1, std::string_view label = "") {
  return {RsaPadding::oaep, &digest_named(digest), &digest_named(mgf1), to_bytes(as_bytes(label))};
}

// By OpenSSL, with its own padding.
Bytes encrypted_by_openssl(EVP_PKEY* key, const RsaEncryption& how, ByteView message) {
  const PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  check(EVP_PKEY_encrypt_init(context.get()) == 1, "encrypt");
  if (how.padding == RsaPadding::oaep) {
    check(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), how.digest->md()) == 1 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), how.mgf1->md()) == 1,
          "encrypt");
    if (!how.label.empty()) {
      void* copy = OPENSSL_memdup(how.label.data(), how.label.size());
      check(EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy,
                                             static_cast<int>(how.label.size())) > 0,
            "encrypt");
    }
  }
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes out(size);
  check(EVP_PKEY_encrypt(context.get(), out.data(), &size, message.data(), message.size()) == 1,
        "encrypt");
  return out;
}

std::vector<RsaEncryption> every_padding() {
  std::vector<RsaEncryption> all{{RsaPadding::pkcs1}, oaep("sha256", "sha256", "a label")};
  for (const char* digest : {"sha1", "sha256", "sha384", "sha512"}) {
    for (const char* mgf1 : {"sha1", "sha256", "sha384", "sha512"})
      all.push_back(oaep(digest, mgf1));
  }
  return all;
}

TEST(RsaPadding, OfEveryKindAndLengthThatOpensslMakesIsUndone) {
  const auto key = MemoryKey::generate("rsa:2048");
  for (const RsaEncryption& how : every_padding()) {
    for (const std::size_t size : {0u, 1u, 16u, 32u, 62u}) {
      const Bytes message(size, 0);  // looks like padding itself
      const Bytes sealed = encrypted_by_openssl(key->public_key(), how, message);
      EXPECT_EQ(hex(key->decrypt(how, sealed).reveal()), hex(message)) << describe(how);
      const DecryptedKey opened = key->decrypt_key(how, sealed, size);
      EXPECT_TRUE(opened.good) << describe(how) << size;
      EXPECT_EQ(hex(opened.key.reveal()), hex(message)) << describe(how);
    }
  }
}

TEST(RsaPadding, ThatIsNotTheOneAskedForIsRefused) {
  const auto key = MemoryKey::generate("rsa:2048");
  const auto all = every_padding();
  for (std::size_t made = 0; made < all.size(); ++made) {
    const Bytes sealed = encrypted_by_openssl(key->public_key(), all[made], Bytes(32, 1));
    for (std::size_t asked = 0; asked < all.size(); ++asked) {
      if (made == asked) continue;
      // A block of OAEP looks like one of PKCS#1 of any length once in 256 times.
      if (all[asked].padding != RsaPadding::pkcs1) {
        EXPECT_EQ(error_of([&] { key->decrypt(all[asked], sealed); }).kind(),
                  Kind::decryption_failed);
      }
      EXPECT_FALSE(key->decrypt_key(all[asked], sealed, 32).good);
    }
  }
}

TEST(RsaPadding, OfPkcs1IsRefusedWithAnyByteOfItWrong) {
  Bytes block(256, 0x55);
  block[0] = 0;
  block[1] = 2;
  block[223] = 0;
  ASSERT_TRUE(unpad_key({RsaPadding::pkcs1}, block, 32).good);
  for (std::size_t i = 0; i < 224; ++i) {
    Bytes wrong = block;
    wrong[i] = i < 2 || i == 223 ? 0x77 : 0;
    EXPECT_FALSE(unpad_key({RsaPadding::pkcs1}, wrong, 32).good) << i;
  }
}

TEST(RsaPadding, OfPkcs1HasEightBytesAtLeast) {
  for (std::size_t zero = 2; zero < 14; ++zero) {
    Bytes block(256, 0x55);
    block[0] = 0;
    block[1] = 2;
    block[zero] = 0;
    EXPECT_EQ(unpad({RsaPadding::pkcs1}, block).has_value(), zero >= 10) << zero;
  }
}

TEST(RsaPadding, OfOaepIsRefusedWithAnyBitOfTheBlockFlipped) {
  const auto key = MemoryKey::generate("rsa:2048");
  const RsaEncryption how = oaep("sha256", "sha1");
  const Bytes sealed = encrypted_by_openssl(key->public_key(), how, Bytes(32, 9));
  Bytes block = to_bytes(key->decrypt({RsaPadding::none}, sealed).reveal());
  ASSERT_TRUE(unpad(how, block));
  for (std::size_t bit = 0; bit < 8 * block.size(); ++bit) {
    block[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    // The message is masked by a mask that depends on the seed, the seed by one that depends on all
    // of the rest: a bit of the message itself gives another seed.
    EXPECT_FALSE(unpad(how, block)) << bit;
    block[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
}

TEST(RsaPadding, ThatIsBadGivesAnotherRandomKeyEachTime) {
  const Bytes block(256, 0);
  const DecryptedKey a = unpad_key({RsaPadding::pkcs1}, block, 32);
  const DecryptedKey b = unpad_key({RsaPadding::pkcs1}, block, 32);
  EXPECT_FALSE(a.good || b.good);
  EXPECT_EQ(a.key.size(), 32u);
  EXPECT_NE(hex(a.key.reveal()), hex(b.key.reveal()));
  EXPECT_NE(hex(a.key.reveal()), hex(Bytes(32, 0)));
}

TEST(RsaPadding, OfAKeyOfAnotherLengthGivesARandomKey) {
  const auto key = MemoryKey::generate("rsa:2048");
  for (const RsaEncryption& how : every_padding()) {
    const Bytes sealed = encrypted_by_openssl(key->public_key(), how, Bytes(24, 3));
    for (const std::size_t size : {0u, 16u, 23u, 25u, 32u, 300u}) {
      const DecryptedKey opened = key->decrypt_key(how, sealed, size);
      EXPECT_FALSE(opened.good);
      EXPECT_EQ(opened.key.size(), size);
    }
  }
}

TEST(RsaPadding, ThatTheKeyIsTooShortForIsUnsupported) {
  EXPECT_EQ(error_of([] { unpad(oaep("sha512", "sha512"), Bytes(128, 0)); }).kind(),
            Kind::unsupported);
}

}  // namespace
}  // namespace hsmith::ossl
