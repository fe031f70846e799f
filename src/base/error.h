// The one exception type of hsmith, and the table of its kinds.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hsmith {

// What went wrong, as finely as a script may want to know it. The table in error.cpp gives each
// kind its JSON name and its exit status (docs/errors.md lists them for users).
enum class Kind {
  internal,
  usage,
  configuration,
  confirmation_needed,
  pin_missing,
  pin_incorrect,
  pin_locked,
  pin_last_try,
  pin_failed_before,
  pin_invalid,
  pin_not_initialized,
  pin_expired,
  login_failed,
  not_found,
  ambiguous,
  malformed,
  mismatch,
  decryption_failed,
  refused,
  unsafe_permissions,
  exists,
  token_failed,
  token_removed,
  token_full,
  token_damaged,
  unsupported,
  module_load,
  io,
  busy,
};

struct KindInfo {
  Kind kind;
  const char* name;  // snake_case, stable: the `kind` of the JSON error
  int exit_status;
};
std::span<const KindInfo> kinds();
const KindInfo& info(Kind kind);

// what() reads as one sentence: "<what was tried, on which object>: <cause>". No capital at the
// start, no full stop. The hint is the next command to run, or what to change.
class Error : public std::runtime_error {
 public:
  Error(Kind kind, const std::string& message);

  Error&& hint(std::string text) &&;
  Error&& ckr(std::string name) &&;
  Error&& candidates(std::vector<std::string> uris) &&;
  // Something of a change that failed is still there: the journal must keep it.
  Error&& unfinished() &&;
  // This error seen from one level up: "<doing>: <message>".
  Error during(std::string_view doing) const;

  Kind kind() const noexcept { return kind_; }
  int exit_status() const { return info(kind_).exit_status; }
  const std::string& hint() const noexcept { return hint_; }
  // The CKR name, where a PKCS#11 call was the cause.
  const std::string& ckr() const noexcept { return ckr_; }
  // PKCS#11 URIs of what a selector could have meant.
  const std::vector<std::string>& candidates() const noexcept { return candidates_; }
  bool is_unfinished() const noexcept { return unfinished_; }

 private:
  Kind kind_;
  std::string hint_;
  std::string ckr_;
  std::vector<std::string> candidates_;
  bool unfinished_ = false;
};

}  // namespace hsmith
