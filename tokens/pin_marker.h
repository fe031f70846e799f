// The memory of a PIN that a token refused: a service that restarts in a loop with a stale PIN must
// not lock the token. One small file for each token and role, without anything about the PIN.
#pragma once

#include <filesystem>
#include <string_view>

#include "tokens/pin.h"

namespace hsmith::tokens {

// Throws pin_failed_before when the last PIN from a non-interactive source was refused by the
// token with this serial number and no login by a person, nor --retry-pin, came after it.
void refuse_after_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                             PinRole role);

// To be called after CKR_PIN_INCORRECT for a PIN from a non-interactive source.
void note_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                     PinRole role);

// To be called for --retry-pin, and after a login by a person succeeded.
void forget_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                       PinRole role);

}  // namespace hsmith::tokens
