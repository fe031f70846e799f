// What is removed of a key or certificate whose making failed, while other programs write too.
#include <gmock/gmock.h>

#include "src/ossl/check.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"
#include "tokens/certificates.h"
#include "tokens/made_key.h"
#include "tokens/reading.h"

namespace hsmith::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Leftovers : public SoftHsmTest {
 protected:
  tokens::KeySpec spec_of(std::string_view type, Bytes id = {}) {
    tokens::KeySpec spec;
    spec.type = &ossl::key_type_named(type);
    spec.uses = {tokens::Use::sign};
    spec.label = "web";
    spec.id = std::move(id);
    return spec;
  }

  // The error of a making of `spec` that fails after `meanwhile`.
  Error failed_making(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                      const std::function<void(tokens::Making&)>& meanwhile) {
    return error_of([&] {
      tokens::made_or_removed(token, spec, "make it", [&](tokens::Making& making) {
        meanwhile(making);
        throw Error(Kind::token_failed, "it failed");
        return 0;
      });
    });
  }
};

TEST_F(Leftovers, OfAnotherProgramStayWhateverTheirClassIdAndLabel) {
  const auto token = open();
  for (const std::string names : {"--id 55", "--id 56 --label web", ""}) {
    SCOPED_TRACE(names);
    const auto before = tokens::all_objects(token);
    const Error error = failed_making(token, spec_of("rsa:2048"), [&](tokens::Making&) {
      pkcs11_tool("--keypairgen --key-type rsa:2048 " + names);
    });
    EXPECT_EQ(tokens::all_objects(token).size(), before.size() + 2);
    EXPECT_TRUE(error.is_unfinished());
    EXPECT_THAT(error.what(), HasSubstr("it failed; what was begun could not be removed: a key "
                                        "came meanwhile that may be another program's"));
  }
}

TEST_F(Leftovers, OfAnotherTypeStay) {
  const auto token = open();
  const Error error = failed_making(token, spec_of("ec:p256"), [&](tokens::Making&) {
    pkcs11_tool("--keypairgen --key-type EC:secp384r1 --label web");
  });
  EXPECT_EQ(tokens::all_objects(token).size(), 2U);
  EXPECT_TRUE(error.is_unfinished());
}

TEST_F(Leftovers, ThatTheTokenDidNotTellOfAreKnownByLabelTypeAndIdOrNone) {
  const auto token = open();
  for (const std::string id : {"", "--id 0a"}) {
    const Error error = failed_making(token, spec_of("ec:p256", {0x0a}), [&](tokens::Making&) {
      pkcs11_tool("--keypairgen --key-type EC:prime256v1 --label web " + id);
    });
    EXPECT_THAT(tokens::all_objects(token), IsEmpty());
    EXPECT_FALSE(error.is_unfinished());
  }
}

TEST_F(Leftovers, ThatTheTokenToldOfGoWhateverTheirNames) {
  const auto token = open();
  const Error error = failed_making(token, spec_of("ec:p256"), [&](tokens::Making& making) {
    pkcs11_tool("--keypairgen --key-type EC:prime256v1 --label other --id 03");
    making.made = tokens::all_objects(token);
  });
  EXPECT_THAT(tokens::all_objects(token), IsEmpty());
  EXPECT_FALSE(error.is_unfinished());
}

// SoftHSM 2.6.1 has made the object when it refuses its template.
TEST_F(Leftovers, ThatAreNothingButBegunGo) {
  const auto token = open();
  std::size_t begun = 0;
  const Error error = failed_making(token, spec_of("ec:p256"), [&](tokens::Making&) {
    pkcs11::Template refused;
    refused.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set_number(CKA_KEY_TYPE, CKK_EC);
    refused.set_bool(CKA_TOKEN, true).set_bool(CKA_LOCAL, true);
    error_of([&] { token.session->create(refused); });
    begun = tokens::all_objects(token).size();
  });
  EXPECT_EQ(begun, 1U);
  EXPECT_THAT(tokens::all_objects(token), IsEmpty());
  EXPECT_FALSE(error.is_unfinished());
}

TEST_F(Leftovers, OfAGenerationGoThoughAnotherProgramMakesAKeyMeanwhile) {
  const auto token = open();
  const Error error = error_of([&] {
    tokens::generate(token, spec_of("rsa:2048"), [&](EVP_PKEY*) {
      pkcs11_tool("--keypairgen --key-type rsa:2048 --id 55");
      throw Error(Kind::io, "the disk is full");
    });
  });
  const tokens::Inventory inventory = tokens::take_inventory(token);
  ASSERT_EQ(inventory.private_keys.size(), 1U);
  ASSERT_EQ(inventory.public_keys.size(), 1U);
  EXPECT_EQ(inventory.private_keys.front().id, Bytes{0x55});
  EXPECT_TRUE(error.is_unfinished());
}

TEST_F(Leftovers, OfAnInstallationAreTheCertificateThatWasSentAndNoOther) {
  inject("fail C_CreateObject 1 CKR_DEVICE_ERROR");
  const auto token = open();
  const tokens::Key key = generate(token, "ec:p256", "web").key;
  const tokens::Inventory before = tokens::take_inventory(token);
  const Identity ours = root("CN=web");
  const Identity other = root("CN=other");
  const auto write = [&](const Identity& one, const std::string& label) {
    const Bytes der = ossl::der_of(i2d_X509, one.certificate.get());
    const std::string content(der.begin(), der.end());
    pkcs11_tool("--write-object " + folder().write(label + ".der", content) +
                " --type cert --label " + label + " --id " + hex(key.id));
  };
  write(ours, "web");
  write(ours, "mine");
  write(other, "web");
  const Error error =
      error_of([&] { tokens::install(token, before, key, ours.certificate.get()); });
  EXPECT_TRUE(error.is_unfinished());
  EXPECT_THAT(error.what(), HasSubstr("a certificate came meanwhile"));
  EXPECT_EQ(tokens::take_inventory(token).certificates.size(), 2U);
}

TEST_F(Leftovers, OfAnInstallationThatAreNothingButBegunGo) {
  inject(
      "fail-after C_CreateObject 1 CKR_DEVICE_ERROR; hide-attribute CKA_VALUE class certificate");
  const auto token = open();
  const tokens::Key key = generate(token, "ec:p256", "web").key;
  const tokens::Inventory before = tokens::take_inventory(token);
  const Identity ours = root("CN=web");
  const Error error =
      error_of([&] { tokens::install(token, before, key, ours.certificate.get()); });
  EXPECT_FALSE(error.is_unfinished());
  EXPECT_EQ(tokens::all_objects(token).size(), 2U);
}

}  // namespace
}  // namespace hsmith::tests
