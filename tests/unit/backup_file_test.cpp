#include "tokens/backup_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "src/base/base64.h"
#include "src/base/text.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::tokens {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using tests::error_of;
using tests::MemoryKey;

class BackupFileTest : public ::testing::Test {
 protected:
  BackupFileTest() {
    backup_.created = 1'800'000'000;
    backup_.token_label = "prod";
    backup_.manufacturer = "maker";
    backup_.model = "model";
    backup_.serial = "0001";
    backup_.wrapping_label = "backups";
    backup_.wrapping_id = {1, 2};
    backup_.check_value = "0123456789abcdef";
    backup_.mechanism = "CKM_AES_KEY_WRAP_PAD";
    backup_.padding = "RFC 5649";
    add("web", "ec:p256", Use::sign);
    add("mail", "rsa:2048", Use::decrypt);
    sign();
  }

  void add(const char* label, const char* type, Use use) {
    keys_.push_back(MemoryKey::generate(type));
    BackedUpKey key;
    key.spec.label = label;
    key.spec.id = {static_cast<unsigned char>(keys_.size()), 7};
    key.spec.type = &ossl::key_type_named(type);
    key.spec.uses = {use};
    key.public_key = ossl::share(keys_.back()->public_key());
    key.certificates = {{0x30, 0}};
    key.wrapped = Bytes(48, 5);
    backup_.keys.push_back(std::move(key));
  }

  void sign() {
    const Bytes to_sign = backup_to_sign(backup_);
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      const ossl::Scheme scheme = ossl::choose_scheme(keys_[i]->public_key(), "", "");
      backup_.keys[i].signature = keys_[i]->sign(scheme, ossl::digest(*scheme.digest, to_sign));
    }
  }

  static Backup read(const std::string& text) { return read_backup(as_bytes(text), "x"); }

  // What reading says of the file after `change` of its JSON, written as hsmith writes it.
  Error error_after(const std::function<void(Json&)>& change) const {
    Json json = Json::parse(backup_text(backup_));
    change(json);
    return error_of([&] { read(json.dump(2) + "\n"); });
  }

  std::vector<std::shared_ptr<MemoryKey>> keys_;
  Backup backup_;
};

TEST_F(BackupFileTest, WhatIsWrittenIsReadBack) {
  const Backup is = read(backup_text(backup_));
  EXPECT_EQ(backup_text(is), backup_text(backup_));
  EXPECT_EQ(is.created, backup_.created);
  EXPECT_EQ(is.token_label, "prod");
  EXPECT_EQ(is.serial, "0001");
  EXPECT_EQ(is.wrapping_label, "backups");
  EXPECT_EQ(is.wrapping_id, (Bytes{1, 2}));
  EXPECT_EQ(is.check_value, "0123456789abcdef");
  EXPECT_EQ(is.mechanism, "CKM_AES_KEY_WRAP_PAD");
  EXPECT_EQ(is.padding, "RFC 5649");
  ASSERT_EQ(is.keys.size(), 2u);
  EXPECT_EQ(is.keys[1].spec.label, "mail");
  EXPECT_EQ(is.keys[1].spec.uses, std::set<Use>{Use::decrypt});
  EXPECT_EQ(is.keys[1].spec.type->name, std::string("rsa:2048"));
  EXPECT_EQ(is.keys[0].certificates, (std::vector<Bytes>{{0x30, 0}}));
  EXPECT_EQ(is.keys[0].wrapped, Bytes(48, 5));
  EXPECT_TRUE(ossl::same_public_key(is.keys[0].public_key.get(), keys_[0]->public_key()));
}

TEST_F(BackupFileTest, EachKeySignsTheWholeFile) {
  const Backup is = read(backup_text(backup_));
  for (const BackedUpKey& key : is.keys)
    EXPECT_TRUE(verify_backup_signature(key, backup_to_sign(is)));
  const auto does_not_hold = [&](const std::function<void(Backup&)>& change) {
    Backup other = read(backup_text(backup_));
    change(other);
    for (const BackedUpKey& key : other.keys)
      EXPECT_FALSE(verify_backup_signature(key, backup_to_sign(other)));
  };
  does_not_hold([](Backup& one) { one.created += 1; });
  does_not_hold([](Backup& one) { one.token_label = "x"; });
  does_not_hold([](Backup& one) { one.manufacturer = "x"; });
  does_not_hold([](Backup& one) { one.model = "x"; });
  does_not_hold([](Backup& one) { one.serial = "x"; });
  does_not_hold([](Backup& one) { one.wrapping_label = "x"; });
  does_not_hold([](Backup& one) { one.wrapping_id = {9}; });
  does_not_hold([](Backup& one) { one.check_value = "f123456789abcdef"; });
  does_not_hold([](Backup& one) { one.mechanism = "CKM_AES_KEY_WRAP_KWP"; });
  does_not_hold([](Backup& one) { one.padding = "x"; });
  does_not_hold([](Backup& one) { one.keys.pop_back(); });
  does_not_hold([](Backup& one) { std::swap(one.keys[0], one.keys[1]); });
  does_not_hold([](Backup& one) { one.keys[1].spec.label = "x"; });
  does_not_hold([](Backup& one) { one.keys[1].spec.id = {9}; });
  does_not_hold([](Backup& one) { one.keys[1].spec.uses = {Use::sign}; });
  does_not_hold([](Backup& one) { one.keys[1].wrapped[0] ^= 1; });
  does_not_hold([](Backup& one) { one.keys[1].certificates.clear(); });
}

TEST_F(BackupFileTest, AnotherKeysSignatureDoesNotHold) {
  std::swap(backup_.keys[0].signature, backup_.keys[1].signature);
  const Backup is = read(backup_text(backup_));
  for (const BackedUpKey& key : is.keys)
    EXPECT_FALSE(verify_backup_signature(key, backup_to_sign(is)));
}

TEST_F(BackupFileTest, AMemberThatIsMissingOrOfAnotherTypeIsMalformed) {
  const Json whole = Json::parse(backup_text(backup_));
  for (const auto& [name, value] : whole.items()) {
    const std::string member = name;
    EXPECT_EQ(error_after([&](Json& json) { json.erase(member); }).kind(), Kind::malformed) << name;
    EXPECT_EQ(error_after([&](Json& json) { json[member] = 7; }).kind(), Kind::malformed) << name;
  }
  for (const auto& [name, value] : whole["keys"][0].items()) {
    const std::string member = name;
    const auto without = [&](Json& json) { json["keys"][0].erase(member); };
    EXPECT_EQ(error_after(without).kind(), Kind::malformed) << name;
  }
}

TEST_F(BackupFileTest, AKeyThatWasLessProtectedIsRefused) {
  for (const char* name : {"private", "sensitive", "extractable", "wrap_with_trusted"}) {
    const Error error = error_after([&](Json& json) { json["keys"][1][name] = false; });
    EXPECT_EQ(error.kind(), Kind::refused) << name;
    EXPECT_THAT(error.what(), HasSubstr("key 2"));
  }
}

TEST_F(BackupFileTest, WhatCouldNotBeUnwrappedIsMalformed) {
  const auto with_wrapped = [&](const Bytes& wrapped) {
    return error_after([&](Json& json) { json["keys"][0]["wrapped"] = base64(wrapped); });
  };
  for (const std::size_t size : {1u, 8u, 16u, 25u, 16'392u})
    EXPECT_EQ(with_wrapped(Bytes(size, 1)).kind(), Kind::malformed) << size;
  EXPECT_THAT(error_after([](Json& json) { json["mechanism"] = "CKM_AES_CBC_PAD"; }).what(),
              HasSubstr("are not restored"));
  EXPECT_THAT(error_after([](Json& json) { json["keys"][0]["type"] = "ed25519"; }).what(),
              HasSubstr("cannot be backed up"));
  EXPECT_THAT(error_after([](Json& json) { json["keys"][0]["use"] = "decrypt"; }).what(),
              HasSubstr("cannot do that"));
  EXPECT_THAT(error_after([](Json& json) { json["keys"] = Json::array(); }).what(),
              HasSubstr("it holds no key"));
  EXPECT_THAT(error_after([](Json& json) { json["signatures"].erase(1); }).what(),
              HasSubstr("not one signature a key"));
}

TEST_F(BackupFileTest, OnlyTheVeryBytesThatHsmithWritesAreRead) {
  const std::string text = backup_text(backup_);
  EXPECT_THAT(error_of([&] { read(text + "\n"); }).what(), HasSubstr("it was edited"));
  EXPECT_THAT(error_of([&] { read(Json::parse(text).dump()); }).what(), HasSubstr("it was edited"));
  EXPECT_THAT(error_after([](Json& json) { json["extra"] = 1; }).what(),
              HasSubstr("it was edited"));
  EXPECT_THAT(error_after([](Json& json) { json["keys"][0]["extra"] = 1; }).what(),
              HasSubstr("it was edited"));
  EXPECT_THAT(error_after([](Json& json) { json["keys"][0]["id"] = "01AB"; }).what(),
              HasSubstr("read the backup x"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size() - 2})
    EXPECT_EQ(error_of([&] { read(text.substr(0, size)); }).kind(), Kind::malformed) << size;
}

TEST_F(BackupFileTest, ATokenMayBeCalledAnything) {
  backup_.token_label = "\xff\x1b[31m";
  sign();
  const Backup is = read(backup_text(backup_));
  EXPECT_TRUE(verify_backup_signature(is.keys[0], backup_to_sign(is)));
  EXPECT_THAT(is.token_label, HasSubstr("\\xff"));
}

}  // namespace
}  // namespace hsmith::tokens
