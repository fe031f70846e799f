// A SoftHSM token of a test's own, opened the way that hsmith opens tokens.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/environment.h"
#include "tests/support/temporary_folder.h"
#include "tokens/keys.h"
#include "tokens/token.h"

namespace hsmith::tests {

// The path of SoftHSM's module, or "" where it is not installed.
std::string softhsm_path();

// Variables of the process environment for the time of one test.
class ScopedVariables {
 public:
  ~ScopedVariables();
  void set(const std::string& name, const std::string& value);
  void unset(const std::string& name);

 private:
  void remember(const std::string& name);
  std::map<std::string, std::optional<std::string>> before_;
};

// Token folder, configuration, locks and PINs are made for each test and removed after it. Tests
// of one program run one after the other, so SOFTHSM2_CONF is theirs alone.
class SoftHsmTest : public testing::Test {
 protected:
  void SetUp() override;

  // The token "test", logged in. Each call starts the module: let the last one go before.
  tokens::OpenToken open(pkcs11::Access access = pkcs11::Access::read_write,
                         tokens::Login login = tokens::Login::user);
  // What open() uses; tests change it.
  tokens::Reach reach;
  // Uses this PIN from now on.
  void use_pin(const std::string& pin);
  const std::string& pin() const { return pin_; }
  const std::string& so_pin() const { return so_pin_; }

  // Loads the fault module in front of SoftHSM from now on, with a log that is empty.
  void inject(const std::string& rules);
  // What the fault module logged.
  std::string fault_log() const;

  // Runs pkcs11-tool on the token, logged in; its output. A status other than 0 fails the test.
  std::string pkcs11_tool(const std::string& arguments) const;

  tokens::Generated generate(const tokens::OpenToken& token, std::string_view type,
                             const std::string& label, std::string_view uses = "sign");

  const TemporaryFolder& folder() const { return folder_; }
  std::vector<std::string> warnings;
  ScopedVariables variables;

 private:
  TemporaryFolder folder_;
  Environment environment_;
  std::string pin_;
  std::string so_pin_;
  int injections_ = 0;
};

// What a command prints; a status other than 0 fails the test.
std::string output_of(const std::string& command);

}  // namespace hsmith::tests
