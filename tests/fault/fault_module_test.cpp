// The fault module itself: each rule of docs/fault-module.md, proved against SoftHSM.
#include <array>
#include <chrono>
#include <csignal>
#include <dlfcn.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ostream>
#include <span>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/support/fault_module_fixture.h"

namespace hsmith::tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr int kAssertionStatus = 99;

void sign_three_times(FaultClient& client) {
  client.start();
  client.generate();
  for (int i = 0; i < 3; ++i) client.say(client.sign());
}

void sign_and_verify(FaultClient& client) {
  client.start();
  client.generate();
  client.say(client.sign());
  client.say(client.verify());
}

// Four threads, a session each, until something ends them.
void sign_in_threads(FaultClient& client) {
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  client.say(client.p11->C_Initialize(&arguments));
  client.find_slot();
  client.open();
  client.login();
  client.generate();
  const auto sign = [&client] {
    CK_MECHANISM ecdsa{CKM_ECDSA, nullptr, 0};
    std::array<CK_BYTE, 32> digest{};
    std::array<CK_BYTE, 64> signature{};
    CK_ULONG length = signature.size();
    CK_SESSION_HANDLE session = 0;
    client.p11->C_OpenSession(client.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session);
    while (client.p11->C_SignInit(session, &ecdsa, client.private_key) == CKR_OK &&
           client.p11->C_Sign(session, digest.data(), digest.size(), signature.data(), &length) ==
               CKR_OK) {
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(sign);
  for (std::thread& thread : threads) thread.join();
}

std::string text_of(std::span<const CK_BYTE> field) { return {field.begin(), field.end()}; }

TEST_F(FaultModuleTest, ForwardsEveryCallWhenItHasNoScript) {
  const Outcome outcome = run_with({}, sign_and_verify);
  EXPECT_EQ(outcome.exit_status, 0) << outcome.errors;
  EXPECT_EQ(outcome.said, "CKR_OK CKR_OK");
}

struct BadScript {
  const char* script;
  const char* complaint;
};

void PrintTo(const BadScript& bad, std::ostream* out) { *out << bad.script; }

class FaultScriptTest : public FaultModuleTest, public testing::WithParamInterface<BadScript> {};

TEST_P(FaultScriptTest, MakesInitializeFailAndIsNamedOnStandardError) {
  const Outcome outcome = run(GetParam().script, [](FaultClient& client) {
    client.say(client.p11->C_Initialize(nullptr));
    client.say(client.find_slot());
  });
  EXPECT_EQ(outcome.said, "CKR_GENERAL_ERROR CKR_CRYPTOKI_NOT_INITIALIZED");
  EXPECT_EQ(outcome.errors, std::string("hsmith_fault_module: ") + GetParam().complaint + "\n");
}

constexpr BadScript kBadScripts[] = {
    {"fial C_Sign 1 CKR_OK", R"(line 1: "fial C_Sign" is not the name of a rule)"},
    {"kill during C_Sign 1", R"(line 1: "kill during" is not the name of a rule)"},
    {"hang any 9; fail C_Sing 1 CKR_OK", R"(line 2: "C_Sing" is not a function of Cryptoki 2.40)"},
    {"fail C_Sign 2 CKR_DEVICE_REMOVD",
     R"(line 1: "CKR_DEVICE_REMOVD" is not a CKR_ name or number)"},
    {"fail C_Sign 2", "line 1: a CKR_ name or number is missing at the end"},
    {"fail C_Sign CKR_DEVICE_REMOVED",
     R"(line 1: "CKR_DEVICE_REMOVED" is not a count of calls (N, N-M, from N, every N, always))"},
    {"hang C_Sign 0", R"(line 1: "0" is not a count of calls (N, N-M, from N, every N, always))"},
    {"hang C_Sign 4-2", R"(line 1: "4-2" is not a range that goes up)"},
    {"hang C_Sign 1 2", R"(line 1: "2" is not expected at the end of this rule)"},
    {"flip C_Login 1 byte 3", R"(line 1: "C_Login" is not a function that gives bytes or a list)"},
    {"flip C_Sign 1 bit 3", R"(line 1: "bit" is not the word byte)"},
    {"length C_GenerateRandom 1 +1",
     R"(line 1: "C_GenerateRandom" is not a function that says how long its answer is)"},
    {"length C_Sign 1 64", R"(line 1: "64" is not a length (=N, +N, -N, huge, unavailable))"},
    {"fill C_Sign 1 256", R"(line 1: "256" is not the value of a byte)"},
    {"delay C_Sign 1 5", R"(line 1: "5" is not a time such as 500ms or 2s)"},
    {"raise before C_Sign 1 SIGNOTHING", R"(line 1: "SIGNOTHING" is not a signal such as SIGSEGV)"},
    {"attribute CKA_EXTRACTIBLE = true",
     R"(line 1: "CKA_EXTRACTIBLE" is not a CKA_ name or number)"},
    {"attribute CKA_EXTRACTABLE = yes",
     R"(line 1: "yes" is not a value (true, false, "text", hex:00ff, a number, CKO_, CKK_ or CKM_))"},
    {"attribute CKA_ID = hex:0", R"(line 1: "hex:0" is not bytes in hexadecimal)"},
    {"attribute CKA_ID class privat = hex:00", R"(line 1: "privat" is not a class of objects)"},
    {"token-flag set CKF_PIN_FINAL_TRY",
     R"(line 1: "CKF_PIN_FINAL_TRY" is not a CKF_ name or number)"},
    {"token-serial \"1\"", R"(line 1: "1" is not the sign =)"},
    {"token-serial = 1", R"(line 1: "1" is not a text in double quotes)"},
    {"token-serial = \"12345678901234567\"",
     R"(line 1: "12345678901234567" is not short enough for its field)"},
    {"token-label = \"a", "line 1: a quoted text does not end"},
    {"token-label = \"\\q\"", R"(line 1: unknown escape \q)"},
    {"token-label = \"\\x1\"", R"(line 1: \x needs two hexadecimal digits)"},
    {"hide-slot 0", R"(line 1: "0" is not the number of a slot in the list (1, 2, ... or all))"},
    {"hide-mechanism CKM_RSA", R"(line 1: "CKM_RSA" is not a CKM_ name or number)"},
    {"null-function any", R"(line 1: "any" is not one function)"},
    {"cryptoki-version 3", R"(line 1: "3" is not a version such as 3.2)"},
    {"umask C_Initialize 1 999", R"(line 1: "999" is not an octal mode such as 077)"},
    {"assert template C_Login CKA_SIGN true",
     R"(line 1: "C_Login" is not a function with a template to check)"},
    {"assert template C_GenerateKeyPair CKA_SIGN true",
     R"(line 1: "CKA_SIGN" is not public or private)"},
};
INSTANTIATE_TEST_SUITE_P(Bad, FaultScriptTest, testing::ValuesIn(kBadScripts));

TEST_F(FaultModuleTest, RefusesAVariableItDoesNotKnow) {
  const Outcome outcome = run_with({{"HSMITH_FAULT_SCRIPTS", "x"}}, [](FaultClient& client) {
    client.say(client.p11->C_Initialize(nullptr));
  });
  EXPECT_EQ(outcome.said, "CKR_GENERAL_ERROR");
  EXPECT_THAT(outcome.errors, HasSubstr("unknown variable HSMITH_FAULT_SCRIPTS"));
}

TEST_F(FaultModuleTest, RefusesARealModuleThatIsNone) {
  const auto initialize = [](FaultClient& client) {
    client.say(client.p11->C_Initialize(nullptr));
  };
  for (const char* path : {"", "/no/such/module.so", "libm.so.6"}) {
    const Outcome outcome = run_with({{"HSMITH_FAULT_REAL", path}}, initialize);
    EXPECT_EQ(outcome.said, "CKR_GENERAL_ERROR") << path;
    EXPECT_THAT(outcome.errors, StartsWith("hsmith_fault_module: ")) << path;
  }
}

TEST_F(FaultModuleTest, RefusesAScriptFileThatIsNotThere) {
  const Outcome outcome = run_with({{"HSMITH_FAULT_SCRIPT", "/no/such"}}, [](FaultClient& client) {
    client.say(client.p11->C_Initialize(nullptr));
  });
  EXPECT_EQ(outcome.said, "CKR_GENERAL_ERROR");
  EXPECT_THAT(outcome.errors, HasSubstr("cannot read the script /no/such"));
}

TEST_F(FaultModuleTest, ReadsAFileWithCommentsBlankLinesAndQuotedTexts) {
  std::ofstream(folder() / "script") << "# two rules\n\n"
                                     << "token-label = \"a # b; \\x1b\\\\\"  # a hostile name\n"
                                     << "\tfail C_Sign 2 0x80000001\n";
  const auto client = [](FaultClient& running) {
    sign_three_times(running);
    running.say(text_of(running.token_info().label));
  };
  const Outcome outcome = run_with({{"HSMITH_FAULT_SCRIPT", folder() / "script"}}, client);
  EXPECT_THAT(outcome.said, StartsWith("CKR_OK 0x80000001 (vendor-defined) CKR_OK a # b; \x1b\\ "));
}

TEST_F(FaultModuleTest, ExportsNothingButItsFunctionList) {
  void* library = dlopen(HSMITH_FAULT_MODULE, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  EXPECT_NE(dlsym(library, "C_GetFunctionList"), nullptr);
  EXPECT_EQ(dlsym(library, "C_Sign"), nullptr);
  dlclose(library);
}

TEST_F(FaultModuleTest, LogsEachCallWithItsNumberAndResultButNoPin) {
  run("fail C_Sign 1 CKR_DEVICE_REMOVED", [](FaultClient& client) {
    client.start();
    client.generate();
    client.sign();
  });
  EXPECT_THAT(log(), StartsWith("1 C_GetFunctionList CKR_OK pid="));
  EXPECT_THAT(log(), HasSubstr("\n5 C_Login CKR_OK in=4 pid="));
  EXPECT_THAT(log(), HasSubstr("\n6 C_GenerateKeyPair CKR_OK mechanism=CKM_EC_KEY_PAIR_GEN "
                               "attributes=CKA_EC_PARAMS,CKA_VERIFY "
                               "attributes=CKA_CLASS,CKA_SENSITIVE,CKA_SIGN pid="));
  EXPECT_THAT(log(), HasSubstr("\n8 C_Sign CKR_DEVICE_REMOVED in=32 rule=1 pid="));
  EXPECT_THAT(log(), Not(HasSubstr("1234 ")));
}

TEST_F(FaultModuleTest, CountsFromOneInEachProcess) {
  EXPECT_EQ(run("fail C_Sign 4 CKR_DEVICE_ERROR", sign_three_times).said, "CKR_OK CKR_OK CKR_OK");
  EXPECT_EQ(run("fail C_Sign 4 CKR_DEVICE_ERROR", sign_three_times).said, "CKR_OK CKR_OK CKR_OK");
}

TEST_F(FaultModuleTest, KeepsItsCountsAcrossProcessesInACounterFile) {
  const std::map<std::string, std::string> environment = {
      {"HSMITH_FAULT_SCRIPT", "inline:fail C_Sign 4 CKR_DEVICE_ERROR"},
      {"HSMITH_FAULT_COUNTER", folder() / "counter"},
  };
  EXPECT_EQ(run_with(environment, sign_three_times).said, "CKR_OK CKR_OK CKR_OK");
  EXPECT_EQ(run_with(environment, sign_three_times).said, "CKR_DEVICE_ERROR CKR_OK CKR_OK");
  EXPECT_THAT(log(), HasSubstr("\n13 C_GetFunctionList CKR_OK "));
}

TEST_F(FaultModuleTest, FailsTheCallsThatTheCountNames) {
  const auto said = [&](const std::string& when) {
    return run("fail C_Sign " + when + " CKR_DEVICE_ERROR", sign_three_times).said;
  };
  EXPECT_EQ(said("2"), "CKR_OK CKR_DEVICE_ERROR CKR_OK");
  EXPECT_EQ(said("1-2"), "CKR_DEVICE_ERROR CKR_DEVICE_ERROR CKR_OK");
  EXPECT_EQ(said("from 2"), "CKR_OK CKR_DEVICE_ERROR CKR_DEVICE_ERROR");
  EXPECT_EQ(said("every 2"), "CKR_OK CKR_DEVICE_ERROR CKR_OK");
  EXPECT_EQ(said("always"), "CKR_DEVICE_ERROR CKR_DEVICE_ERROR CKR_DEVICE_ERROR");
}

TEST_F(FaultModuleTest, CountsAnyFunctionTogether) {
  // 1-5 are the start, 6 the generation, 7 and 8 the first signature.
  const Outcome outcome = run("fail any 8 CKR_DEVICE_MEMORY", sign_three_times);
  EXPECT_THAT(outcome.said, StartsWith("CKR_DEVICE_MEMORY "));
}

TEST_F(FaultModuleTest, FailsBeforeTheRealCallOrAfterIt) {
  const auto client = [](FaultClient& running) {
    running.start();
    running.say(running.generate());
    running.say(std::to_string(running.count_objects()));
  };
  EXPECT_EQ(run("fail C_GenerateKeyPair 1 CKR_GENERAL_ERROR", client).said, "CKR_GENERAL_ERROR 0");
  EXPECT_EQ(run("fail-after C_GenerateKeyPair 1 CKR_GENERAL_ERROR", client).said,
            "CKR_GENERAL_ERROR 2");
  EXPECT_THAT(log(), HasSubstr(" real=CKR_OK rule=1"));
}

TEST_F(FaultModuleTest, SaysOkWithoutDoingAnything) {
  const auto client = [](FaultClient& running) {
    running.start();
    running.say(running.create_data("a"));
    running.say(std::to_string(running.count_objects()));
  };
  EXPECT_EQ(run("ok-without-writing C_CreateObject 1", client).said, "CKR_OK 0");
}

TEST_F(FaultModuleTest, DelaysACall) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run("delay C_Sign 2 300ms", sign_three_times).said, "CKR_OK CKR_OK CKR_OK");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(300));
}

TEST_F(FaultModuleTest, HangsInACall) {
  const Outcome outcome = run("hang C_Sign 2", [](FaultClient& client) {
    client.start();
    client.generate();
    client.say(client.sign());
    alarm(1);
    client.say(client.sign());
  });
  EXPECT_EQ(outcome.signal, SIGALRM);
  EXPECT_EQ(outcome.said, "CKR_OK");
  EXPECT_THAT(log(), HasSubstr(" C_Sign - "));
}

TEST_F(FaultModuleTest, KillsTheProcessBeforeTheRealCallOrAfterIt) {
  const auto create = [](FaultClient& client) {
    client.start();
    client.create_data("a");
  };
  const auto count = [](FaultClient& client) {
    client.start();
    client.say(std::to_string(client.count_objects()));
  };
  EXPECT_EQ(run("kill before C_CreateObject 1", create).signal, SIGKILL);
  EXPECT_EQ(run("", count).said, "0");
  EXPECT_EQ(run("kill after C_CreateObject 1", create).signal, SIGKILL);
  EXPECT_EQ(run("", count).said, "1");
  EXPECT_THAT(log(), HasSubstr("6 C_CreateObject - attributes=CKA_CLASS,CKA_TOKEN,CKA_LABEL "
                               "real=CKR_OK rule=1"));
}

TEST_F(FaultModuleTest, RaisesASignalBeforeACallOrAfterIt) {
  for (const char* script : {"raise before C_Sign 1 SIGTERM", "raise after C_Sign 1 SIGTERM"}) {
    const Outcome outcome = run(script, sign_three_times);
    EXPECT_EQ(outcome.signal, SIGTERM) << script;
    EXPECT_EQ(outcome.said, "") << script;
  }
}

TEST_F(FaultModuleTest, ClosesTheSessionsBehindTheProgramsBack) {
  EXPECT_EQ(run("close-sessions C_Sign 2", sign_three_times).said,
            "CKR_OK CKR_SESSION_HANDLE_INVALID CKR_SESSION_HANDLE_INVALID");
}

// SoftHSM crashes where a session is closed under a signature, in one such run of seven.
TEST_F(FaultModuleTest, ClosesTheSessionsWhenNoOtherThreadIsInACall) {
  for (int i = 0; i < 30; ++i) {
    const Outcome outcome = run("close-sessions C_Sign 20", sign_in_threads);
    ASSERT_EQ(outcome.signal, 0) << outcome.errors;
    ASSERT_EQ(outcome.said, "CKR_OK");
  }
}

}  // namespace
}  // namespace hsmith::tests
