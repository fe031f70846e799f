#include "src/base/environment.h"

#include <array>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"

namespace hsmith {
namespace {

using testing::HasSubstr;
using testing::Not;

// Sets variables (nullptr: none) for the time of a test.
class Variables {
 public:
  Variables(std::initializer_list<std::pair<const char*, const char*>> wanted) {
    for (const auto& [name, value] : wanted) {
      before_[name] = variable(name);
      set(name, value);
    }
  }
  ~Variables() {
    for (const auto& [name, value] : before_) set(name, value ? value->c_str() : nullptr);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  static void set(const std::string& name, const char* value) {
    if (value == nullptr) {
      unsetenv(name.c_str());
    } else {
      setenv(name.c_str(), value, 1);
    }
  }
  std::map<std::string, std::optional<std::string>> before_;
};

TEST(Environment, TakesPinsAndPasswordsOut) {
  const Variables variables{{"HSMITH_PIN", "1234"},
                            {"HSMITH_NEW_PIN", "5678"},
                            {"HSMITH_PFX_PASSWORD", "geheim"},
                            {"HSMITH_PIN_SOURCE", "file:/p"}};
  const Environment environment = take_environment();
  EXPECT_EQ(getenv("HSMITH_PIN"), nullptr);
  EXPECT_EQ(getenv("HSMITH_NEW_PIN"), nullptr);
  EXPECT_EQ(getenv("HSMITH_PFX_PASSWORD"), nullptr);
  EXPECT_EQ(variable("HSMITH_PIN_SOURCE"), "file:/p");
  ASSERT_EQ(environment.secrets.size(), 3u);
  EXPECT_EQ(as_text(environment.secrets.at("HSMITH_PIN").reveal()), "1234");
  EXPECT_EQ(as_text(environment.secrets.at("HSMITH_NEW_PIN").reveal()), "5678");
}

TEST(Environment, OverwritesTheMemoryThatASecretWasIn) {
  std::string entry = "TEST_SECRET_VARIABLE=geheim";
  ASSERT_EQ(putenv(entry.data()), 0);
  Environment environment;
  const auto secret = secret_variable(environment, "TEST_SECRET_VARIABLE");
  ASSERT_TRUE(secret);
  EXPECT_EQ(as_text(secret->reveal()), "geheim");
  EXPECT_EQ(entry, "TEST_SECRET_VARIABLE=" + std::string(6, '\0'));
}

TEST(Environment, LeavesVariablesWithALongerNameAlone) {
  const Variables variables{{"TEST_SECRET", "a"}, {"TEST_SECRET_2", "b"}};
  Environment environment;
  secret_variable(environment, "TEST_SECRET");
  EXPECT_EQ(variable("TEST_SECRET_2"), "b");
}

TEST(Environment, GivesASecretAgainThoughItIsNoLongerThere) {
  const Variables variables{{"TEST_SECRET", "a"}};
  Environment environment;
  EXPECT_TRUE(secret_variable(environment, "TEST_SECRET"));
  EXPECT_TRUE(secret_variable(environment, "TEST_SECRET"));
  EXPECT_FALSE(secret_variable(environment, "TEST_SECRET_THAT_NEVER_WAS"));
}

// This program once more, with HSMITH_PIN in the environment that the kernel keeps of it.
int run_again_with_a_pin() {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const pid_t pid = fork();
  if (pid == 0) {
    std::string filter =
        "--gtest_filter=Environment.ATakenPinShowsNeitherInProcNorInAChildsEnvironment";
    std::string pin = "HSMITH_PIN=7391846205";
    std::string home = "HOME=/";
    std::string program = self;
    std::array<char*, 3> arguments{program.data(), filter.data(), nullptr};
    std::array<char*, 3> environment{pin.data(), home.data(), nullptr};
    execve(self.c_str(), arguments.data(), environment.data());
    _exit(127);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Environment, ATakenPinShowsNeitherInProcNorInAChildsEnvironment) {
  if (!variable("HSMITH_PIN")) {
    EXPECT_EQ(run_again_with_a_pin(), 0);
    return;
  }
  EXPECT_THAT(std::string(as_text(read_file("/proc/self/environ"))), HasSubstr("7391846205"));
  const Environment environment = take_environment();
  EXPECT_EQ(as_text(environment.secrets.at("HSMITH_PIN").reveal()), "7391846205");
  EXPECT_THAT(std::string(as_text(read_file("/proc/self/environ"))), Not(HasSubstr("7391846205")));
  EXPECT_NE(std::system("/usr/bin/env | /bin/grep -q 7391846205"), 0);
}

TEST(Environment, TakesTheFoldersThatAreSet) {
  const Variables variables{{"HSMITH_STATE", "/s"},
                            {"XDG_STATE_HOME", "/x"},
                            {"XDG_CONFIG_HOME", "/c"},
                            {"XDG_RUNTIME_DIR", "/run/u"}};
  const Environment environment = take_environment();
  EXPECT_EQ(environment.state_folder, "/s");
  EXPECT_EQ(environment.configuration_folder, "/c/hsmith");
  EXPECT_EQ(environment.runtime_folder, "/run/u");
}

TEST(Environment, FallsBackToTheFoldersOfTheXdgSpecification) {
  const Variables variables{{"HSMITH_STATE", nullptr},
                            {"XDG_STATE_HOME", "/x"},
                            {"XDG_CONFIG_HOME", nullptr},
                            {"XDG_RUNTIME_DIR", nullptr},
                            {"HOME", "/home/u"}};
  EXPECT_EQ(take_environment().state_folder, "/x/hsmith");
  const Variables without{{"XDG_STATE_HOME", nullptr}};
  const Environment environment = take_environment();
  EXPECT_EQ(environment.state_folder, "/home/u/.local/state/hsmith");
  EXPECT_EQ(environment.configuration_folder, "/home/u/.config/hsmith");
  EXPECT_EQ(environment.runtime_folder, "");
}

TEST(Environment, IgnoresRelativeAndEmptyFolders) {
  const Variables variables{{"HSMITH_STATE", ""},
                            {"XDG_STATE_HOME", "relative"},
                            {"XDG_CONFIG_HOME", ""},
                            {"XDG_RUNTIME_DIR", "relative"},
                            {"HOME", "/home/u"}};
  const Environment environment = take_environment();
  EXPECT_EQ(environment.state_folder, "/home/u/.local/state/hsmith");
  EXPECT_EQ(environment.configuration_folder, "/home/u/.config/hsmith");
  EXPECT_EQ(environment.runtime_folder, "");
}

TEST(Environment, MakesARelativeStateFolderAbsolute) {
  const Variables variables{{"HSMITH_STATE", "state"}};
  EXPECT_EQ(take_environment().state_folder, std::filesystem::current_path() / "state");
}

TEST(Environment, WithoutHomeAsksTheListOfUsers) {
  const Variables variables{
      {"HSMITH_STATE", nullptr}, {"XDG_STATE_HOME", nullptr}, {"HOME", nullptr}};
  EXPECT_TRUE(take_environment().state_folder.is_absolute());
}

TEST(Environment, WithoutAnyHomeSaysWhatToSet) {
  if (geteuid() != 0) GTEST_SKIP() << "skipped: needs root to become another user";
  EXPECT_EXIT(
      {
        unsetenv("HOME");
        unsetenv("HSMITH_STATE");
        unsetenv("XDG_STATE_HOME");
        if (setuid(3999999) != 0) _exit(2);
        try {
          take_environment();
        } catch (const Error& error) {
          fprintf(stderr, "%s|%s", error.what(), error.hint().c_str());
          _exit(error.exit_status());
        }
        _exit(0);
      },
      testing::ExitedWithCode(2), "there is no home folder.set HSMITH_STATE and HOME");
}

}  // namespace
}  // namespace hsmith
