// PKCS#12 files that hsmith writes, several under one password.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/recovery/pfx.h"
#include "src/recovery/pfx_keys.h"
#include "src/recovery/private_key.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::recovery {
namespace {

using tests::error_of;
using tests::MemoryKey;

Pfx file_with(const std::shared_ptr<MemoryKey>& key, const std::string& name) {
  Pfx pfx;
  pfx.keys.push_back({ossl::share(key->private_key()), name});
  return pfx;
}

class PfxWriterTest : public ::testing::TestWithParam<PfxStyle> {};

TEST_P(PfxWriterTest, EachFileOpensByThePasswordAloneAndByNoOther) {
  const Secret password(std::string_view("pass\xc3\xa4word"));
  PfxWriter writer(password, GetParam());
  for (const char* type : {"rsa:2048", "ec:p256", "ec:p384"}) {
    const auto key = MemoryKey::generate(type);
    const Bytes file = writer.write(file_with(key, type));
    const Pfx read = read_pfx(file, "x", password);
    ASSERT_EQ(read.keys.size(), 1U);
    EXPECT_EQ(read.keys[0].name, type);
    EXPECT_EQ(pair_problem(read.keys[0].key.get(), key->public_key()), "");
    const Error error = error_of([&] { read_pfx(file, "x", Secret(std::string_view("other"))); });
    EXPECT_EQ(error.kind(), Kind::pin_incorrect);
  }
}

TEST_P(PfxWriterTest, NoTwoFilesAreEncryptedAlike) {
  const auto key = MemoryKey::generate("ec:p256");
  PfxWriter writer(Secret(std::string_view("x")), GetParam());
  EXPECT_NE(writer.write(file_with(key, "a")), writer.write(file_with(key, "a")));
}

INSTANTIATE_TEST_SUITE_P(BothStyles, PfxWriterTest,
                         ::testing::Values(PfxStyle::modern, PfxStyle::old_windows));

TEST(PfxKeys, AnyFlippedBitOfTheContentIsNoticedByTheMac) {
  const PfxKeys keys = derive_pfx_keys(Secret(std::string_view("x")));
  const Bytes file = pfx_around(keys, Bytes(100, 5));
  ASSERT_TRUE(has_mac_of(keys, file));
  std::size_t unnoticed = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes bent = file;
    bent[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    try {
      unnoticed += has_mac_of(keys, bent);
    } catch (const Error&) {  // it is no DER any longer
    }
  }
  // The version's byte, and the nine of the content's type: RFC 7292, 4 has them outside of the
  // MAC.
  EXPECT_LE(unnoticed, 80U);
}

TEST(PfxKeys, OpenWhatTheyEncryptedAndNothingElse) {
  const PfxKeys keys = derive_pfx_keys(Secret(std::string_view("x")));
  const Pbes2 made = pbes2_encrypt(keys, as_bytes("text"));
  const auto opened = pbes2_decrypt(keys, made.algorithm, made.encrypted);
  ASSERT_TRUE(opened);
  EXPECT_EQ(as_text(opened->reveal()), "text");
  const PfxKeys other = derive_pfx_keys(Secret(std::string_view("x")));
  EXPECT_FALSE(pbes2_decrypt(other, made.algorithm, made.encrypted));
  EXPECT_FALSE(pbes2_decrypt(keys, Bytes(3), made.encrypted));
  EXPECT_FALSE(pbes2_decrypt(keys, made.algorithm, Bytes(15)));
}

}  // namespace
}  // namespace hsmith::recovery
