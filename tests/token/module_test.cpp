#include "pkcs11/module.h"

#include <clocale>
#include <csignal>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/session.h"
#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"

namespace hsmith::tests {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using tokens::OpenToken;

class ModuleTest : public SoftHsmTest {
 protected:
  std::shared_ptr<pkcs11::Module> load() const { return tokens::start_module(reach); }
};

TEST_F(ModuleTest, LeavesFolderUmaskLocaleAndSignalsAsTheyWere) {
  const auto folder_before = std::filesystem::current_path();
  const mode_t mask_before = umask(022);
  inject(
      "change-folder C_Initialize 1 \"/\"; umask C_Initialize 1 0; ignore-signal C_Initialize 1 "
      "SIGTERM; set-locale C_Initialize 1 \"C.UTF-8\"");
  const auto module = load();
  EXPECT_EQ(std::filesystem::current_path(), folder_before);
  EXPECT_EQ(umask(mask_before), 022u);
  EXPECT_STREQ(setlocale(LC_ALL, nullptr), "C");
  struct sigaction now {};
  sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
  EXPECT_THAT(fault_log(), HasSubstr("rule="));
}

TEST_F(ModuleTest, LeavesTheFolderAsItWasWhenItCannotBeStarted) {
  const auto folder_before = std::filesystem::current_path();
  inject("change-folder C_Initialize 1 \"/\"; fail C_Initialize 1 CKR_HOST_MEMORY");
  EXPECT_EQ(error_of([&] { load(); }).kind(), Kind::module_load);
  EXPECT_EQ(std::filesystem::current_path(), folder_before);
}

TEST_F(ModuleTest, DoesNotBelieveCountsOfSlotsAndMechanisms) {
  for (const char* rule : {"length C_GetSlotList 1 huge", "length C_GetSlotList 1 unavailable",
                           "length C_GetSlotList 1 =20000", "length C_GetMechanismList 1 huge",
                           "length C_GetMechanismList 1 =20000"}) {
    inject(rule);
    const auto module = load();
    const Error error = error_of([&] { module->mechanisms(module->slots(CK_TRUE).at(0)); });
    EXPECT_EQ(error.kind(), Kind::token_failed) << rule;
  }
}

TEST_F(ModuleTest, AsksAgainForAListThatGrewMeanwhile) {
  inject("fail C_GetSlotList 1 CKR_BUFFER_TOO_SMALL");
  EXPECT_THAT(load()->slots(CK_TRUE), SizeIs(2));
  inject("fail C_GetSlotList always CKR_BUFFER_TOO_SMALL");
  const Error error = error_of([&] { load()->slots(CK_TRUE); });
  EXPECT_THAT(error.what(), HasSubstr("does not come to an end"));
}

TEST_F(ModuleTest, WithHolesInItsFunctionListIsRefusedBeforeItIsStarted) {
  for (const char* function : {"C_Finalize", "C_Sign", "C_DeriveKey", "C_GenerateKeyPair"}) {
    inject(std::string("null-function ") + function);
    EXPECT_THAT(error_of([&] { load(); }).what(), HasSubstr("has holes")) << function;
  }
}

TEST_F(ModuleTest, OfANewerCryptokiIsTaken) {
  inject("cryptoki-version 3.2");
  EXPECT_EQ(load()->info().cryptoki.major, 3);
}

class SessionTest : public SoftHsmTest {
 protected:
  static constexpr CK_ATTRIBUTE_TYPE kAsked[] = {CKA_LABEL, CKA_ID, CKA_SENSITIVE, CKA_VALUE};

  // Attributes of the private key "web", read through the rules.
  pkcs11::Attributes read(const std::string& rules) {
    open_again(rules);
    return token_.session->get(handle(), kAsked);
  }
  void open_again(const std::string& rules) {
    token_ = {};
    if (!made_) generate(open(), "ec:p256", "web");
    made_ = true;
    inject(rules);
    token_ = open();
  }
  CK_OBJECT_HANDLE handle() const {
    pkcs11::Template wanted;
    wanted.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
    return token_.session->find(wanted, 1).at(0);
  }
  OpenToken token_;

 private:
  bool made_ = false;
};

TEST_F(SessionTest, ReadsWhatTheTokenGivesAndLeavesOutWhatItHides) {
  const pkcs11::Attributes is = read("");
  EXPECT_EQ(is.text(CKA_LABEL), "web");
  EXPECT_EQ(is.flag(CKA_SENSITIVE), true);
  EXPECT_EQ(is.find(CKA_VALUE), nullptr);
  EXPECT_EQ(read("hide-attribute CKA_LABEL class private").find(CKA_LABEL), nullptr);
}

TEST_F(SessionTest, TakesAnAttributeOfTheWrongLengthForAbsent) {
  EXPECT_EQ(read("attribute CKA_SENSITIVE class private = hex:0101").flag(CKA_SENSITIVE),
            std::nullopt);
  EXPECT_EQ(read("attribute CKA_SENSITIVE class private = hex:").flag(CKA_SENSITIVE), std::nullopt);
}

TEST_F(SessionTest, ReadsALongValueWithASecondCall) {
  const std::string label(1000, 'x');
  const pkcs11::Attributes is = read("attribute CKA_LABEL class private = \"" + label + "\"");
  EXPECT_EQ(is.text(CKA_LABEL), label);
}

TEST_F(SessionTest, DoesNotBelieveLengthsOfAttributes) {
  for (const char* length : {"huge", "=100000000"}) {
    open_again(std::string("attribute CKA_LABEL class private length ") + length);
    const CK_OBJECT_HANDLE key = handle();
    const Error error = error_of([&] { token_.session->get(key, kAsked); });
    EXPECT_EQ(error.kind(), Kind::token_failed) << length;
  }
}

TEST_F(SessionTest, AsksOneByOneForWhatACallSaysItGaveAndDidNot) {
  EXPECT_EQ(read("ok-without-writing C_GetAttributeValue 1").text(CKA_LABEL), "web");
  const pkcs11::Attributes none = read("ok-without-writing C_GetAttributeValue always");
  EXPECT_EQ(none.find(CKA_LABEL), nullptr);
  EXPECT_EQ(none.flag(CKA_SENSITIVE), std::nullopt);
}

TEST_F(SessionTest, EndsASearchThatTheTokenDoesNotEnd) {
  for (const char* rule : {"length C_FindObjects 1 huge", "length C_FindObjects 1 unavailable",
                           "length C_FindObjects 1 =2000"}) {
    open_again(rule);
    const Error error = error_of([&] { token_.session->find({}, 10'000); });
    EXPECT_THAT(error.what(), HasSubstr("does not come to an end")) << rule;
    EXPECT_THAT(token_.session->find({}, 10'000), SizeIs(2)) << rule;  // the session is not busy
  }
}

TEST_F(SessionTest, CountsAnObjectThatIsFoundTwiceOnce) {
  open_again("repeat C_FindObjects 2");
  EXPECT_THAT(token_.session->find({}, 2), SizeIs(2));
}

TEST_F(SessionTest, WrapsAndUnwrapsACopy) {
  open_again("");
  pkcs11::Template aes;
  aes.set_number(CKA_VALUE_LEN, 32)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_EXTRACTABLE, true)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_WRAP, true)
      .set_bool(CKA_UNWRAP, true);
  const pkcs11::Session& session = *token_.session;
  const CK_OBJECT_HANDLE first = session.generate({CKM_AES_KEY_GEN, {}}, aes);
  const CK_OBJECT_HANDLE copied =
      session.copy(first, pkcs11::Template().set_text(CKA_LABEL, "copy"));
  EXPECT_NE(copied, first);
  const Secret value = session.read_secret(first, CKA_VALUE);
  EXPECT_TRUE(equal(session.read_secret(copied, CKA_VALUE).reveal(), value.reveal()));

  const Bytes wrapped = session.wrap({CKM_AES_KEY_WRAP, {}}, first, copied);
  EXPECT_THAT(wrapped, SizeIs(40));  // RFC 3394, 2.2.1
  pkcs11::Template back;
  back.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, CKK_AES)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_EXTRACTABLE, true)
      .set_bool(CKA_SENSITIVE, false);
  const CK_OBJECT_HANDLE unwrapped = session.unwrap({CKM_AES_KEY_WRAP, {}}, first, wrapped, back);
  EXPECT_TRUE(equal(session.read_secret(unwrapped, CKA_VALUE).reveal(), value.reveal()));
}

TEST_F(SessionTest, ReadsNoSecretThatTheTokenKeepsAndBelievesNoLengthOfOne) {
  open_again("");
  EXPECT_EQ(error_of([&] { token_.session->read_secret(handle(), CKA_VALUE); }).ckr(),
            "CKR_ATTRIBUTE_SENSITIVE");
  open_again("ok-without-writing C_GetAttributeValue always");
  EXPECT_TRUE(token_.session->read_secret(handle(), CKA_VALUE).empty());
}

}  // namespace
}  // namespace hsmith::tests
