#include "tokens/configured_modules.h"

#include <fmt/format.h>
#include <functional>
#include <gmock/gmock.h>
#include <unistd.h>

#include "src/base/error.h"
#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"
#include "tokens/survey.h"

namespace hsmith::tests {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using tokens::ConfiguredModule;

constexpr uid_t kNobody = 65534;

// The user's own folder of modules counts only for an ordinary user: root becomes one meanwhile.
class ConfiguredModulesTest : public SoftHsmTest {
 protected:
  void SetUp() override {
    SoftHsmTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directories(folder() / "config/pkcs11/modules");
    variables.set("XDG_CONFIG_HOME", folder() / "config");
    output_of("chmod -R a+rwX " + folder().path().string());
    root_ = geteuid() == 0;
    if (root_ && seteuid(kNobody) != 0) GTEST_SKIP() << "skipped: cannot become another user";
  }
  void TearDown() override {
    if (root_) {
      EXPECT_EQ(seteuid(0), 0);
    }
  }

  void configure(const std::string& name, const std::string& settings) const {
    folder().write("config/pkcs11/modules/" + name + ".module", settings, 0644);
  }
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const ConfiguredModule& module : tokens::configured_modules())
      names.push_back(module.name);
    return names;
  }

 private:
  bool root_ = false;
};

TEST_F(ConfiguredModulesTest, AreNamedAfterTheirFiles) {
  configure("my-hsm", "# a comment\nmodule: /opt/vendor/lib.so\nx-init-reserved: a=b c\n");
  const ConfiguredModule module = tokens::resolve_module("my-hsm");
  EXPECT_EQ(module.path, "/opt/vendor/lib.so");
  EXPECT_EQ(module.init, "a=b c");
}

TEST_F(ConfiguredModulesTest, WithoutAFolderAreInThatOfP11Kit) {
  configure("short", "module: libshort.so");
  EXPECT_THAT(tokens::resolve_module("short").path, testing::EndsWith("pkcs11/libshort.so"));
  EXPECT_EQ(tokens::resolve_module("short").path.front(), '/');
}

TEST_F(ConfiguredModulesTest, OfTheUserReplaceThoseOfTheSystem) {
  configure("softhsm2", "module: /opt/mine.so");
  EXPECT_EQ(tokens::resolve_module("softhsm2").path, "/opt/mine.so");
}

TEST_F(ConfiguredModulesTest, ThatAreNotForUsAreLeftOut) {
  configure("disabled", "module: /opt/a.so\ndisable-in: firefox, hsmith");
  configure("elsewhere", "module: /opt/b.so\nenable-in: firefox");
  configure("ours", "module: /opt/c.so\nenable-in: firefox hsmith");
  configure("trust", "module: /opt/d.so\ntrust-policy: yes");
  configure("remote", "remote: |ssh host p11-kit remote /opt/e.so");
  configure("empty", "");
  EXPECT_THAT(names(), Contains("ours"));
  for (const char* name : {"disabled", "elsewhere", "trust", "remote", "empty"}) {
    EXPECT_THAT(names(), Not(Contains(name)));
  }
}

TEST_F(ConfiguredModulesTest, AreListedWhenANameIsUnknown) {
  configure("my-hsm", "module: /opt/vendor/lib.so");
  const Error error = error_of([] { tokens::resolve_module("my-hsn"); });
  EXPECT_EQ(error.kind(), Kind::module_load);
  EXPECT_THAT(error.hint(), HasSubstr("my-hsm"));
}

TEST_F(ConfiguredModulesTest, ThatCrashHideNoToken) {
  configure("softhsm2", "module: " + softhsm_path());
  configure("broken", fmt::format("module: {}", HSMITH_FAULT_MODULE));
  configure("absent", "module: /nosuch/lib.so");
  configure("nothing", "module: " + (folder() / "pin"));
  variables.set("HSMITH_FAULT_REAL", softhsm_path());
  variables.set("HSMITH_FAULT_SCRIPT", "inline:raise before C_Initialize 1 SIGSEGV");
  EXPECT_EQ(tokens::module_with_token(tokens::parse_token_choice("test"), reach.lock_folder).name,
            "softhsm2");
  const Error error = error_of(
      [&] { tokens::module_with_token(tokens::parse_token_choice("nosuch"), reach.lock_folder); });
  EXPECT_EQ(error.kind(), Kind::not_found);
  EXPECT_THAT(error.candidates(), Contains(HasSubstr("pkcs11:token=test")));
}

TEST_F(ConfiguredModulesTest, ThatHaveTheSameTokenAreAmbiguous) {
  configure("softhsm2", "module: " + softhsm_path());
  configure("again", "module: " + softhsm_path());
  const Error error = error_of([&] { tokens::module_with_token({}, reach.lock_folder); });
  EXPECT_EQ(error.kind(), Kind::ambiguous);
  EXPECT_EQ(error.candidates().size(), 2u);
}

class SurveyTest : public SoftHsmTest {
 protected:
  tokens::SurveyedModule survey(const std::string& rules) {
    inject(rules);
    return tokens::survey({"x", reach.module_path, ""}, std::nullopt);
  }
};

TEST_F(SurveyTest, SeesSlotsAndTokens) {
  const tokens::SurveyedModule seen = survey("");
  EXPECT_EQ(seen.failure, "");
  ASSERT_EQ(seen.slots.size(), 2u);
  ASSERT_TRUE(seen.slots[0].token);
  EXPECT_EQ(seen.slots[0].token->label, "test");
}

TEST_F(SurveyTest, SaysWhatAModuleDidInsteadOfAnswering) {
  EXPECT_THAT(survey("raise before C_GetSlotList 1 SIGABRT").failure,
              HasSubstr("crashed (Aborted"));
  EXPECT_THAT(survey("kill after C_Initialize 1").failure, HasSubstr("crashed (Killed"));
  EXPECT_EQ(survey("assert never C_GetSlotList").failure,
            "use the module: the module ended the process");
  EXPECT_THAT(survey("fail C_GetSlotList 1 CKR_DEVICE_ERROR").failure,
              HasSubstr("CKR_DEVICE_ERROR"));
}

TEST_F(SurveyTest, IsNotConfusedByWhatAModulePrints) {
  const tokens::SurveyedModule seen = survey("print-to-stdout C_Initialize 1 \"{}\\n\"");
  EXPECT_EQ(seen.failure, "");
  EXPECT_EQ(seen.slots.size(), 2u);
}

TEST_F(SurveyTest, TakesTextsOfAnyBytes) {
  const tokens::SurveyedModule seen = survey("token-label = \"\\xff\\x1b[31m\\n\"");
  ASSERT_TRUE(seen.slots.at(0).token);
  EXPECT_EQ(seen.slots[0].token->label, "\xff\x1b[31m\n");
}

}  // namespace
}  // namespace hsmith::tests
