// The fault module itself: the rules that change answers, the process, and the assertions.
#include <algorithm>
#include <clocale>
#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fault_module_fixture.h"

namespace hsmith::tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr int kAssertionStatus = 99;

void generate_and_sign(FaultClient& client) {
  client.start();
  client.generate();
  client.say(client.sign());
  client.say(std::to_string(client.length));
}

void sign_and_verify(FaultClient& client) {
  client.start();
  client.generate();
  client.say(client.sign());
  client.say(client.verify());
}

// How long C_Sign says its answer will be.
void ask_signature_size(FaultClient& client) {
  client.start();
  client.generate();
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  CK_BYTE digest[32] = {};
  CK_ULONG length = 0;
  client.p11->C_SignInit(client.session, &mechanism, client.private_key);
  client.say(client.p11->C_Sign(client.session, digest, sizeof digest, nullptr, &length));
  client.say(std::to_string(length));
}

std::string random_word(FaultClient& client) {
  std::string bytes(8, '?');
  client.p11->C_GenerateRandom(client.session, reinterpret_cast<CK_BYTE*>(bytes.data()), 8);
  return bytes;
}

void say_token(FaultClient& client, std::span<const CK_BYTE> field) {
  client.say("[" + std::string(field.begin(), field.end()) + "]");
}

void start_and_nothing_else(FaultClient& client) { client.start(); }

TEST_F(FaultModuleTest, FlipsABitOfAnAnswer) {
  EXPECT_EQ(run("flip C_Sign 1 byte 3", sign_and_verify).said, "CKR_OK CKR_SIGNATURE_INVALID");
  EXPECT_EQ(run("flip C_Sign 1 byte -1", sign_and_verify).said, "CKR_OK CKR_SIGNATURE_INVALID");
  EXPECT_EQ(run("flip C_Sign 2 byte 3", sign_and_verify).said, "CKR_OK CKR_OK");
}

TEST_F(FaultModuleTest, EndsTheProcessWhenTheByteToFlipIsNotThere) {
  const Outcome outcome = run("flip C_Sign 1 byte 64", sign_and_verify);
  EXPECT_EQ(outcome.exit_status, kAssertionStatus);
  EXPECT_THAT(outcome.errors, HasSubstr("line 1: flip C_Sign 1 byte 64: the answer has 64 bytes"));
}

TEST_F(FaultModuleTest, FillsAnAnswerWithOneByte) {
  const Outcome outcome = run("fill C_GenerateRandom 2 0x41", [](FaultClient& client) {
    client.start();
    client.say(random_word(client) == "AAAAAAAA" ? "filled" : "random");
    client.say(random_word(client));
  });
  EXPECT_EQ(outcome.said, "random AAAAAAAA");
}

TEST_F(FaultModuleTest, RepeatsTheLastAnswer) {
  const Outcome outcome = run("repeat C_GenerateRandom 2", [](FaultClient& client) {
    client.start();
    const std::string first = random_word(client);
    client.say(random_word(client) == first ? "same" : "other");
    client.say(random_word(client) == first ? "same" : "other");
  });
  EXPECT_EQ(outcome.said, "same other");
}

TEST_F(FaultModuleTest, LetsASearchGoOnForEver) {
  const Outcome outcome = run("repeat C_FindObjects from 2", [](FaultClient& client) {
    client.start();
    client.generate();
    CK_OBJECT_HANDLE objects[10] = {};
    client.p11->C_FindObjectsInit(client.session, nullptr, 0);
    for (int i = 0; i < 4; ++i) {
      CK_ULONG found = 0;
      client.p11->C_FindObjects(client.session, objects, 10, &found);
      client.say(std::to_string(found));
    }
  });
  EXPECT_EQ(outcome.said, "2 2 2 2");
}

TEST_F(FaultModuleTest, EndsTheProcessWhenThereIsNoAnswerToRepeat) {
  const Outcome outcome = run("repeat C_Sign 1", sign_and_verify);
  EXPECT_EQ(outcome.exit_status, kAssertionStatus);
  EXPECT_THAT(outcome.errors, HasSubstr("there is no earlier answer"));
}

TEST_F(FaultModuleTest, LiesAboutTheLengthOfAnAnswer) {
  EXPECT_EQ(run("length C_Sign 1 +1", generate_and_sign).said, "CKR_OK 65");
  EXPECT_EQ(run("length C_Sign 1 -1", generate_and_sign).said, "CKR_OK 63");
  EXPECT_EQ(run("length C_Sign 1 =7", generate_and_sign).said, "CKR_OK 7");
  EXPECT_EQ(run("length C_Sign 1 huge", generate_and_sign).said, "CKR_OK 9223372036854775808");
  EXPECT_EQ(run("length C_Sign 1 unavailable", generate_and_sign).said,
            "CKR_OK 18446744073709551615");
}

TEST_F(FaultModuleTest, LiesAboutASizeThatIsAskedFor) {
  EXPECT_EQ(run("size-query C_Sign 1 =10", ask_signature_size).said, "CKR_OK 10");
  EXPECT_EQ(run("length C_Sign 1 =10", ask_signature_size).said, "CKR_OK 64");
  EXPECT_EQ(run("size-query C_Sign 1 =10", generate_and_sign).said, "CKR_OK 64");
}

void read_extractable(FaultClient& client) {
  client.start();
  client.generate();
  for (const CK_OBJECT_HANDLE key : {client.private_key, client.private_key, client.public_key}) {
    const CK_RV answer = client.read(key, CKA_EXTRACTABLE);
    if (answer != CKR_OK) client.say(answer);
    if (answer == CKR_OK) client.say(client.value == "\1" ? "true" : "false");
  }
}

TEST_F(FaultModuleTest, ReplacesAnAttribute) {
  EXPECT_EQ(run("", read_extractable).said, "false false CKR_ATTRIBUTE_TYPE_INVALID");
  EXPECT_EQ(run("attribute CKA_EXTRACTABLE = true", read_extractable).said, "true true true");
}

TEST_F(FaultModuleTest, ReplacesAnAttributeOfOneClassOnly) {
  EXPECT_EQ(run("attribute CKA_EXTRACTABLE class private = true", read_extractable).said,
            "true true CKR_ATTRIBUTE_TYPE_INVALID");
  EXPECT_EQ(run("attribute CKA_EXTRACTABLE class public = true", read_extractable).said,
            "false false true");
}

TEST_F(FaultModuleTest, ReplacesAnAttributeAtItsNthReading) {
  EXPECT_EQ(run("attribute CKA_EXTRACTABLE 2 = true", read_extractable).said,
            "false true CKR_ATTRIBUTE_TYPE_INVALID");
}

TEST_F(FaultModuleTest, ReplacesAnAttributeByBytesTextOrNumber) {
  const auto read_label = [](FaultClient& client) {
    client.start();
    client.generate();
    client.say(client.read(client.private_key, CKA_LABEL));
    client.say(client.value);
  };
  EXPECT_EQ(run("attribute CKA_LABEL = \"a b\"", read_label).said, "CKR_OK a b");
  EXPECT_EQ(run("attribute CKA_LABEL = hex:4142", read_label).said, "CKR_OK AB");
  EXPECT_EQ(run("attribute CKA_LABEL = CKK_RSA", read_label).said,
            "CKR_OK " + std::string(sizeof(CK_ULONG), '\0'));
}

TEST_F(FaultModuleTest, AnswersForAReplacedAttributeAmongOthersAsAModuleDoes) {
  const Outcome outcome = run("attribute CKA_ID = hex:41424344", [](FaultClient& client) {
    client.start();
    client.generate();
    char short_id[2] = {};
    CK_BBOOL sign = CK_FALSE;
    CK_ATTRIBUTE attributes[] = {{CKA_ID, nullptr, 0}, {CKA_SIGN, &sign, sizeof sign}};
    client.say(client.p11->C_GetAttributeValue(client.session, client.private_key, attributes, 2));
    client.say(std::to_string(attributes[0].ulValueLen) + (sign == CK_TRUE ? " signs" : ""));
    attributes[0] = {CKA_ID, short_id, sizeof short_id};
    client.say(client.p11->C_GetAttributeValue(client.session, client.private_key, attributes, 2));
    client.say(attributes[0].ulValueLen == CK_UNAVAILABLE_INFORMATION ? "unavailable" : "given");
    client.say(client.p11->C_GetAttributeValue(client.session, 12345, attributes, 2));
  });
  EXPECT_EQ(outcome.said,
            "CKR_OK 4 signs CKR_BUFFER_TOO_SMALL unavailable CKR_OBJECT_HANDLE_INVALID");
}

TEST_F(FaultModuleTest, LiesAboutTheLengthOfAnAttribute) {
  const auto read_point = [](FaultClient& client) {
    client.start();
    client.generate();
    client.say(client.read(client.public_key, CKA_EC_POINT));
    client.say(std::to_string(client.length));
  };
  EXPECT_EQ(run("", read_point).said, "CKR_OK 67");
  EXPECT_EQ(run("attribute CKA_EC_POINT length +1", read_point).said, "CKR_OK 68");
  EXPECT_EQ(run("attribute CKA_EC_POINT length huge", read_point).said,
            "CKR_OK 9223372036854775808");
}

TEST_F(FaultModuleTest, FlipsABitOfAnAttribute) {
  const auto read_parameters = [](FaultClient& client) {
    client.start();
    client.generate();
    client.read(client.public_key, CKA_EC_PARAMS);
    client.say(client.value == "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" ? "P-256" : "");
    client.say(client.value == "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x06" ? "P-239v3" : "");
  };
  EXPECT_EQ(run("", read_parameters).said, "P-256 ");
  EXPECT_EQ(run("attribute CKA_EC_PARAMS flip byte -1", read_parameters).said, " P-239v3");
}

TEST_F(FaultModuleTest, HidesAnAttribute) {
  EXPECT_EQ(run("hide-attribute CKA_EXTRACTABLE 2", read_extractable).said,
            "false CKR_ATTRIBUTE_TYPE_INVALID CKR_ATTRIBUTE_TYPE_INVALID");
}

TEST_F(FaultModuleTest, SetsAndClearsFlagsOfTheToken) {
  const auto say_flags = [](FaultClient& client) {
    client.start();
    for (int i = 0; i < 2; ++i) {
      const CK_FLAGS flags = client.token_info().flags;
      if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) client.say("final-try");
      if ((flags & CKF_LOGIN_REQUIRED) != 0) client.say("login-required");
    }
  };
  EXPECT_EQ(run("", say_flags).said, "login-required login-required");
  EXPECT_EQ(run("token-flag set CKF_USER_PIN_FINAL_TRY from 2; token-flag clear CKF_LOGIN_REQUIRED",
                say_flags)
                .said,
            "final-try");
}

TEST_F(FaultModuleTest, ReplacesWhatTheTokenSaysOfItself) {
  const Outcome outcome =
      run("token-label = \"other\"; token-serial from 2 = \"42\\x1b\"; token-model = \"m\";"
          "token-manufacturer = \"maker\"; token-time = \"1999123123595900\"",
          [](FaultClient& client) {
            client.start();
            client.say(client.token_info().serialNumber[2] == 0x1b ? "swapped" : "real");
            const CK_TOKEN_INFO info = client.token_info();
            say_token(client, info.label);
            say_token(client, info.serialNumber);
            say_token(client, info.model);
            say_token(client, info.manufacturerID);
            say_token(client, info.utcTime);
          });
  EXPECT_EQ(outcome.said,
            "real [other                           ] [42\x1b             ] [m               ] "
            "[maker                           ] [1999123123595900]");
}

TEST_F(FaultModuleTest, CountsOnlyInitializedTokensForATokenRule) {
  const Outcome outcome = run("token-model 1 = \"m\"", [](FaultClient& client) {
    client.start();
    CK_SLOT_ID slots[4] = {};
    CK_ULONG count = 4;
    client.p11->C_GetSlotList(CK_TRUE, slots, &count);
    CK_TOKEN_INFO empty{};
    client.say(client.p11->C_GetTokenInfo(slots[count - 1], &empty));
    client.say(empty.model[0] == 'm' ? "changed" : "real");
    client.say(client.token_info().model[0] == 'm' ? "changed" : "real");
  });
  EXPECT_EQ(outcome.said, "CKR_OK real changed");
}

TEST_F(FaultModuleTest, HidesASlot) {
  const auto list = [](FaultClient& client) {
    client.p11->C_Initialize(nullptr);
    for (int i = 0; i < 2; ++i) {
      CK_ULONG count = 0;
      CK_SLOT_ID slots[4] = {};
      client.p11->C_GetSlotList(CK_TRUE, nullptr, &count);
      client.say(std::to_string(count));
      client.say(client.p11->C_GetSlotList(CK_TRUE, slots, &count));
      client.say(std::to_string(count));
    }
  };
  EXPECT_EQ(run("", list).said, "2 CKR_OK 2 2 CKR_OK 2");
  EXPECT_EQ(run("hide-slot 1", list).said, "1 CKR_OK 1 1 CKR_OK 1");
  EXPECT_EQ(run("hide-slot all 1-2", list).said, "0 CKR_OK 0 2 CKR_OK 2");
  EXPECT_EQ(run("hide-slot all 1", list).said, "0 CKR_BUFFER_TOO_SMALL 2 2 CKR_OK 2");
}

TEST_F(FaultModuleTest, HidesAMechanism) {
  const auto use = [](FaultClient& client) {
    client.start();
    CK_ULONG count = 0;
    client.p11->C_GetMechanismList(client.slot, nullptr, &count);
    std::vector<CK_MECHANISM_TYPE> types(count);
    client.p11->C_GetMechanismList(client.slot, types.data(), &count);
    client.say(std::ranges::count(types, CKM_EC_KEY_PAIR_GEN) == 1 ? "listed" : "hidden");
    CK_MECHANISM_INFO info{};
    client.say(client.p11->C_GetMechanismInfo(client.slot, CKM_EC_KEY_PAIR_GEN, &info));
    client.say(client.generate());
  };
  EXPECT_EQ(run("", use).said, "listed CKR_OK CKR_OK");
  EXPECT_EQ(run("hide-mechanism CKM_EC_KEY_PAIR_GEN", use).said,
            "hidden CKR_MECHANISM_INVALID CKR_MECHANISM_INVALID");
}

TEST_F(FaultModuleTest, LimitsTheOpenSessions) {
  const Outcome outcome = run("max-sessions 2", [](FaultClient& client) {
    client.start();
    const CK_SESSION_HANDLE first = client.session;
    client.say(client.open());
    client.say(client.open());
    client.p11->C_CloseSession(first);
    client.say(client.open());
    client.p11->C_CloseAllSessions(client.slot);
    client.say(client.open());
  });
  EXPECT_EQ(outcome.said, "CKR_OK CKR_SESSION_COUNT CKR_OK CKR_OK");
}

TEST_F(FaultModuleTest, LeavesAFunctionOutOfItsList) {
  const Outcome outcome = run("null-function C_WaitForSlotEvent", [](FaultClient& client) {
    client.say(client.p11->C_WaitForSlotEvent == nullptr ? "null" : "there");
    client.say(client.p11->C_Sign == nullptr ? "null" : "there");
  });
  EXPECT_EQ(outcome.said, "null there");
}

TEST_F(FaultModuleTest, ClaimsAnotherVersionOfCryptoki) {
  const Outcome outcome = run("cryptoki-version 3.2", [](FaultClient& client) {
    CK_INFO info{};
    client.p11->C_Initialize(nullptr);
    client.p11->C_GetInfo(&info);
    for (const CK_VERSION version : {client.p11->version, info.cryptokiVersion}) {
      client.say(std::to_string(version.major) + "." + std::to_string(version.minor));
    }
  });
  EXPECT_EQ(outcome.said, "3.2 3.2");
}

TEST_F(FaultModuleTest, PrintsToTheStreamsOfTheProcess) {
  const Outcome outcome =
      run("print-to-stdout C_Initialize 1 \"noise\\n\"; print-to-stderr C_Login 1 \"warning\\n\"",
          start_and_nothing_else);
  EXPECT_EQ(outcome.out, "noise\n");
  EXPECT_EQ(outcome.errors, "warning\n");
}

TEST_F(FaultModuleTest, ChangesTheProcessItIsLoadedInto) {
  const Outcome outcome =
      run("umask C_Initialize 1 0123; change-folder C_Initialize 1 \"/\";"
          "set-locale C_Initialize 1 \"C.UTF-8\"; ignore-signal C_Initialize 1 SIGTERM;"
          "leave-thread C_Initialize 1",
          [](FaultClient& client) {
            client.start();
            client.say(std::to_string(umask(0)));
            client.say(std::filesystem::current_path());
            client.say(std::setlocale(LC_ALL, nullptr));
            client.say(std::signal(SIGTERM, SIG_DFL) == SIG_IGN ? "ignored" : "default");
            const std::filesystem::directory_iterator tasks("/proc/self/task");
            client.say(std::to_string(std::distance(begin(tasks), end(tasks))));
          });
  EXPECT_EQ(outcome.said, "83 / C.UTF-8 ignored 2");
}

void sign_after_logout(FaultClient& client) {
  generate_and_sign(client);
  client.p11->C_Logout(client.session);
  CK_BYTE digest[32] = {};
  client.p11->C_Sign(client.session, digest, sizeof digest, client.signature.data(),
                     &client.length);
}

TEST_F(FaultModuleTest, EndsTheProcessWhenAnAssertionFails) {
  const char* scripts[] = {
      "assert at-most C_Sign 1",
      "assert-total at-most 9",
      "assert never C_Logout",
      "assert never C_Sign after C_Logout",
      "assert template C_GenerateKeyPair private CKA_SENSITIVE false",
      "assert template C_GenerateKeyPair private CKA_EXTRACTABLE false",
      "assert template C_GenerateKeyPair private class private CKA_SIGN absent",
      "assert template C_GenerateKeyPair public CKA_TOKEN true",
  };
  for (const std::string script : scripts) {
    const Outcome outcome = run("; " + script, sign_after_logout);
    EXPECT_EQ(outcome.exit_status, kAssertionStatus) << script;
    EXPECT_THAT(outcome.errors, HasSubstr("ASSERTION FAILED: line 2: " + script)) << script;
    EXPECT_THAT(log(), EndsWith(outcome.errors.substr(outcome.errors.find("ASSERTION"))));
  }
}

TEST_F(FaultModuleTest, GoesOnWhileAnAssertionHolds) {
  const char* scripts[] = {
      "assert at-most C_Sign 2",
      "assert-total at-most 100",
      "assert at-most any 100",
      "assert never C_InitToken",
      "assert never C_Login after C_Logout",
      "assert template C_GenerateKeyPair private CKA_SENSITIVE true",
      "assert template C_GenerateKeyPair private CKA_EXTRACTABLE absent",
      "assert template C_GenerateKeyPair private class secret CKA_SIGN absent",
      "assert template C_CreateObject CKA_TOKEN true",
  };
  for (const char* script : scripts) {
    const Outcome outcome = run(script, sign_after_logout);
    EXPECT_EQ(outcome.exit_status, 0) << script << ": " << outcome.errors;
  }
  EXPECT_THAT(log(), Not(HasSubstr("ASSERTION")));
}

}  // namespace
}  // namespace hsmith::tests
