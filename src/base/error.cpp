#include "src/base/error.h"

#include <algorithm>
#include <array>

namespace hsmith {
namespace {

constexpr std::array kKinds{
    KindInfo{Kind::internal, "internal", 1},
    KindInfo{Kind::usage, "usage", 2},
    KindInfo{Kind::configuration, "configuration", 2},
    KindInfo{Kind::confirmation_needed, "confirmation_needed", 2},
    KindInfo{Kind::pin_missing, "pin_missing", 4},
    KindInfo{Kind::pin_incorrect, "pin_incorrect", 4},
    KindInfo{Kind::pin_locked, "pin_locked", 4},
    KindInfo{Kind::pin_last_try, "pin_last_try", 4},
    KindInfo{Kind::pin_failed_before, "pin_failed_before", 4},
    KindInfo{Kind::pin_invalid, "pin_invalid", 4},
    KindInfo{Kind::pin_not_initialized, "pin_not_initialized", 4},
    KindInfo{Kind::pin_expired, "pin_expired", 4},
    KindInfo{Kind::login_failed, "login_failed", 4},
    KindInfo{Kind::not_found, "not_found", 5},
    KindInfo{Kind::ambiguous, "ambiguous", 5},
    KindInfo{Kind::malformed, "malformed", 6},
    KindInfo{Kind::mismatch, "mismatch", 6},
    KindInfo{Kind::decryption_failed, "decryption_failed", 6},
    KindInfo{Kind::refused, "refused", 7},
    KindInfo{Kind::unsafe_permissions, "unsafe_permissions", 7},
    KindInfo{Kind::exists, "exists", 8},
    KindInfo{Kind::token_failed, "token_failed", 9},
    KindInfo{Kind::token_removed, "token_removed", 9},
    KindInfo{Kind::token_full, "token_full", 9},
    KindInfo{Kind::token_damaged, "token_damaged", 9},
    KindInfo{Kind::unsupported, "unsupported", 10},
    KindInfo{Kind::module_load, "module_load", 11},
    KindInfo{Kind::io, "io", 12},
    KindInfo{Kind::busy, "busy", 13},
};

}  // namespace

std::span<const KindInfo> kinds() { return kKinds; }

const KindInfo& info(Kind kind) {
  return *std::find_if(kKinds.begin(), kKinds.end(),
                       [kind](const KindInfo& entry) { return entry.kind == kind; });
}

Error::Error(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

Error&& Error::hint(std::string text) && {
  hint_ = std::move(text);
  return std::move(*this);
}

Error&& Error::ckr(std::string name) && {
  ckr_ = std::move(name);
  return std::move(*this);
}

Error&& Error::candidates(std::vector<std::string> uris) && {
  candidates_ = std::move(uris);
  return std::move(*this);
}

Error&& Error::unfinished() && {
  unfinished_ = true;
  return std::move(*this);
}

Error Error::during(std::string_view doing) const {
  Error outer(kind_, std::string(doing) + ": " + what());
  outer.hint_ = hint_;
  outer.ckr_ = ckr_;
  outer.candidates_ = candidates_;
  outer.unfinished_ = unfinished_;
  return outer;
}

}  // namespace hsmith
