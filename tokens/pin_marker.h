// The memory of a PIN that a token refused: a service that restarts in a loop with a stale PIN must
// not lock the token. One small file for each token and role, without anything about the PIN.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tokens/pin.h"

namespace hsmith::tokens {

// Throws pin_failed_before when the last PIN from a non-interactive source was refused by the
// token with this serial number and no login by a person, nor --retry-pin, came after it.
void refuse_after_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                             PinRole role);

// To be called before a PIN from a non-interactive source is sent: throws io when it could not be
// noted afterwards that the token refused it, for then each run would send it again.
void check_failed_pin_can_be_noted(const std::filesystem::path& state_folder,
                                   std::string_view serial, PinRole role);

// To be called after CKR_PIN_INCORRECT for a PIN from a non-interactive source. Does not throw, as
// the wrong PIN is what must be told: returns why the note is not kept, or nothing.
std::string note_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                            PinRole role);

// To be called for --retry-pin, and after a login by a person succeeded.
void forget_failed_pin(const std::filesystem::path& state_folder, std::string_view serial,
                       PinRole role);

}  // namespace hsmith::tokens
