#include "tokens/keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"
#include "tokens/token_key.h"

namespace hsmith::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tokens::Key;
using tokens::OpenToken;

class KeysTest : public SoftHsmTest {
 protected:
  // An AES key on the token with this label: quickly made, and listed like any other key.
  static void create_secret_key(const OpenToken& token, const std::string& label) {
    pkcs11::Template key;
    key.set_number(CKA_CLASS, CKO_SECRET_KEY)
        .set_number(CKA_KEY_TYPE, CKK_AES)
        .set_bool(CKA_TOKEN, true)
        .set_text(CKA_LABEL, label)
        .set(CKA_VALUE, Bytes(32, 7));
    token.session->create(key);
  }

  // Copies the file of the one object on the token until there are so many.
  void multiply_objects(std::size_t wanted) const {
    namespace fs = std::filesystem;
    fs::path object;
    for (const auto& entry : fs::recursive_directory_iterator(folder() / "tokens")) {
      const fs::path& path = entry.path();
      if (path.extension() == ".object" && path.filename() != "token.object") object = path;
    }
    for (std::size_t i = 1; i < wanted; ++i) {
      const std::string name = fmt::format("00000000-0000-0000-0000-{:012x}.object", i);
      fs::copy_file(object, object.parent_path() / name);
    }
  }
};

TEST_F(KeysTest, AListOfTwoThousandObjectsMakesOneCallAnObjectAndASearchForEachThousand) {
  constexpr std::size_t kObjects = 2100;
  create_secret_key(open(), "key");
  multiply_objects(kObjects);
  inject(fmt::format("assert-total at-most {}", kObjects + kObjects / 1024 + 20));
  const tokens::Inventory all = tokens::take_inventory(open(pkcs11::Access::read_only));
  EXPECT_EQ(all.secret_keys.size(), kObjects);
  EXPECT_THAT(all.broken, IsEmpty());
}

TEST_F(KeysTest, AKeyIsFoundAgainByEachOfItsNames) {
  const OpenToken token = open();
  const Key made = generate(token, "ec:p256", "web").key;
  const std::vector<std::string> names{"web", "label:web", "id:" + hex(made.id), made.uri};
  for (const std::string& name : names) {
    EXPECT_EQ(tokens::find_one(token, tokens::parse_selector(name)).handle, made.handle) << name;
  }
}

TEST_F(KeysTest, EveryKeyTypeGivesItsPublicHalfWithoutASecondObject) {
  const OpenToken token = open();
  for (const char* type : {"rsa:2048", "ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    const Key made = generate(token, type, type).key;
    const Key read = tokens::find_one(token, tokens::parse_selector("label:" + std::string(type)));
    ASSERT_NE(read.public_key, nullptr) << type;
    EXPECT_TRUE(ossl::same_public_key(read.public_key.get(), made.public_key.get())) << type;
    EXPECT_EQ(tokens::type_name(read), type);
  }
}

TEST_F(KeysTest, AKeyOfAForeignCurveIsListedAndNamed) {
  pkcs11_tool("--keypairgen --key-type EC:secp256k1 --label koblitz --id 01");
  const OpenToken token = open();
  const tokens::Inventory all = tokens::take_inventory(token);
  ASSERT_EQ(all.private_keys.size(), 1u);
  EXPECT_EQ(tokens::type_name(all.private_keys[0]), "ec");
  const Error error = error_of([&] { tokens::remote_key(token, all.private_keys[0]); });
  EXPECT_EQ(error.kind(), Kind::not_found);
}

TEST_F(KeysTest, AnIdOrLabelIsTakenByAnyKindOfObject) {
  const OpenToken token = open();
  create_secret_key(token, "wrapping");
  generate(token, "ec:p256", "web");
  const Error label = error_of([&] { tokens::check_free(token, "wrapping", {}); });
  EXPECT_EQ(label.kind(), Kind::exists);
  EXPECT_THAT(label.what(), HasSubstr("label \"wrapping\""));
  const Bytes id = tokens::find_one(token, tokens::parse_selector("web")).id;
  EXPECT_EQ(error_of([&] { tokens::check_free(token, "free", id); }).kind(), Kind::exists);
  EXPECT_NO_THROW(tokens::check_free(token, "free", Bytes{1}));
}

TEST_F(KeysTest, TwoPairsThatShareIdAndLabelAreAmbiguousAndShowNoPublicHalf) {
  pkcs11_tool("--keypairgen --key-type EC:prime256v1 --label web --id 01");
  pkcs11_tool("--keypairgen --key-type EC:prime256v1 --label web --id 01");
  const OpenToken token = open();
  const Error error = error_of([&] { tokens::find_one(token, tokens::parse_selector("web")); });
  EXPECT_EQ(error.kind(), Kind::ambiguous);
  EXPECT_EQ(error.candidates().size(), 2u);
  const tokens::Inventory all = tokens::take_inventory(token);
  EXPECT_EQ(error_of([&] { tokens::public_key_of(all, all.private_keys[0]); }).kind(),
            Kind::mismatch);
  EXPECT_EQ(error_of([&] { tokens::objects_of(all, all.private_keys[0]); }).kind(), Kind::mismatch);
}

TEST_F(KeysTest, WhatGoesWithAKeyIsFoundByPublicKeyWhateverItsIdIs) {
  const OpenToken token = open();
  const Key made = generate(token, "ec:p256", "web").key;
  generate(token, "ec:p256", "other");
  tokens::Inventory all = tokens::take_inventory(token);
  for (const Key& half : all.public_keys) {
    if (half.label != "web") continue;
    pkcs11::Template moved;
    moved.set(CKA_ID, Bytes{9});
    token.session->set(half.handle, moved);
  }
  all = tokens::take_inventory(token);
  const tokens::KeyObjects objects = tokens::objects_of(all, made);
  ASSERT_EQ(objects.public_keys.size(), 1u);
  EXPECT_EQ(objects.public_keys[0].id, Bytes{9});
}

class PrivateHalf : public KeysTest {
 protected:
  static bool holds(const OpenToken& token, Key key, EVP_PKEY* public_key) {
    key.public_key = nullptr;  // as on tokens that do not show it: only an operation can tell
    return tokens::holds_private_half(token, key, public_key);
  }
};

TEST_F(PrivateHalf, IsProvedByWhatTheKeyIsMadeFor) {
  const OpenToken token = open();
  const std::vector<std::pair<std::string, std::string>> kinds{
      {"rsa:2048", "sign"},  {"rsa:2048", "decrypt"}, {"ec:p256", "sign"},
      {"ec:p384", "derive"}, {"ec:p521", "derive"},   {"ed25519", "sign"}};
  for (const auto& [type, use] : kinds) {
    const Key key = generate(token, type, type + " " + use, use).key;
    const Key other = generate(token, type, type + " other " + use, use).key;
    EXPECT_TRUE(holds(token, key, key.public_key.get())) << type << use;
    EXPECT_FALSE(holds(token, key, other.public_key.get())) << type << use;
  }
}

TEST_F(PrivateHalf, IsRefusedWithoutAnOperationWhereTheKeyShowsAnotherPublicHalf) {
  const OpenToken token = open();
  const Key key = generate(token, "ec:p256", "web").key;
  const Key other = generate(token, "ec:p256", "other").key;
  EXPECT_FALSE(tokens::holds_private_half(token, key, other.public_key.get()));
}

class OwnRequest : public KeysTest {
 protected:
  static void expect_signs_only_its_request(const OpenToken& token, const Key& key) {
    const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
    const Bytes digest = ossl::digest(*scheme.digest, as_bytes("a request"));
    const auto signer = tokens::remote_key(token, key, tokens::Signing::own_request);
    EXPECT_TRUE(ossl::verify(key.public_key.get(), scheme, digest, signer->sign(scheme, digest)));
    const Key after = tokens::find_one(token, tokens::parse_selector(key.uri));
    EXPECT_EQ(after.sign, false);
    const Error error = error_of([&] { tokens::remote_key(token, key)->sign(scheme, digest); });
    EXPECT_EQ(error.kind(), Kind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("not made for signing"));
  }
};

TEST_F(OwnRequest, OfADecryptionKeyIsSignedByRawDecryption) {
  inject("assert never C_SetAttributeValue after C_DecryptInit; assert never C_SignInit");
  const OpenToken token = open();
  expect_signs_only_its_request(token, generate(token, "rsa:2048", "mail", "decrypt").key);
  EXPECT_THAT(fault_log(), HasSubstr("C_Decrypt CKR_OK"));
}

TEST_F(OwnRequest, OfADecryptionKeyIsSignedForThatMomentWhereThereIsNoRawDecryption) {
  inject("hide-mechanism CKM_RSA_X_509");
  const OpenToken token = open();
  expect_signs_only_its_request(token, generate(token, "rsa:2048", "mail", "decrypt").key);
}

TEST_F(OwnRequest, OfAnAgreementKeyIsSignedForThatMoment) {
  const OpenToken token = open();
  expect_signs_only_its_request(token, generate(token, "ec:p256", "agree", "derive").key);
}

TEST_F(OwnRequest, TakesTheAbilityToSignBackWhenTheSignatureFails) {
  inject("fail C_Sign 1 CKR_DEVICE_ERROR");
  const OpenToken token = open();
  const Key key = generate(token, "ec:p256", "agree", "derive").key;
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
  const auto signer = tokens::remote_key(token, key, tokens::Signing::own_request);
  const Error error = error_of([&] { signer->sign(scheme, Bytes(32, 1)); });
  EXPECT_EQ(error.ckr(), "CKR_DEVICE_ERROR");
  EXPECT_EQ(tokens::find_one(token, tokens::parse_selector("agree")).sign, false);
}

TEST_F(OwnRequest, IsUnsupportedWhereTheTokenLetsNothingBeChanged) {
  OpenToken token = open();
  const Key key = generate(token, "ec:p256", "agree", "derive").key;
  token = {};
  inject("fail C_SetAttributeValue always CKR_ATTRIBUTE_READ_ONLY");
  token = open();
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
  const auto signer =
      tokens::remote_key(token, tokens::find_one(token, tokens::parse_selector("agree")),
                         tokens::Signing::own_request);
  const Error error = error_of([&] { signer->sign(scheme, Bytes(32, 1)); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_EQ(error.ckr(), "CKR_ATTRIBUTE_READ_ONLY");
}

TEST_F(OwnRequest, ThatLeavesTheKeyAbleToSignIsReported) {
  OpenToken token = open();
  const Key key = generate(token, "ec:p256", "agree", "derive").key;
  token = {};
  inject("ok-without-writing C_SetAttributeValue 2");
  token = open();
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
  const auto signer =
      tokens::remote_key(token, tokens::find_one(token, tokens::parse_selector("agree")),
                         tokens::Signing::own_request);
  const Error error = error_of([&] { signer->sign(scheme, Bytes(32, 1)); });
  EXPECT_EQ(error.kind(), Kind::token_failed);
  EXPECT_THAT(error.what(), HasSubstr("the key stays able to sign"));
}

}  // namespace
}  // namespace hsmith::tests
