// A SoftHSM token of one's own with random PINs, in a private folder.
#pragma once

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "src/base/secret.h"

namespace hsmith::cli {

// Where a command of the sandbox runs, and the file for its standard output; empty: as they are.
struct Surroundings {
  std::filesystem::path folder;
  std::filesystem::path output;
};

class Sandbox {
 public:
  // Makes the folder, 0700, and the token "sandbox" in it: in $TMPDIR, or at `keep`, which must be
  // absent or empty. Throws module_load where SoftHSM is not installed, exists, io. Signals that
  // end a process are held back until a command runs, so that nothing is left behind.
  explicit Sandbox(const std::optional<std::filesystem::path>& keep);
  // Removes the folder, unless it is to be kept.
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  // For a shell: what sets the variables that run() sets.
  std::filesystem::path environment_file() const { return folder_ / "env"; }
  std::filesystem::path pin_file() const { return folder_ / "pin"; }

  // Runs a command with the sandbox's settings and none of the caller's for hsmith, PKCS#11 and
  // OpenSSL, and waits. Signals that end a process are handed on to it. Its exit status as env(1)
  // gives it: 126 it cannot be run, 127 it was not found; 128 + n: signal n ended it.
  int run(const std::vector<std::string>& command, const Surroundings& where = {}) const;

 private:
  using Settings = std::vector<std::pair<std::string, std::string>>;

  void fill();
  void make_token() const;
  Settings settings() const;
  void remove() const noexcept;
  [[noreturn]] void be_the_command(const std::vector<std::string>& command,
                                   const Surroundings& where) const;
  int wait_for(pid_t child) const;

  std::filesystem::path folder_;
  bool kept_;
  std::string module_;
  Secret pin_;
  Secret so_pin_;
  sigset_t mask_before_{};
};

}  // namespace hsmith::cli
