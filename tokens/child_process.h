// Work with a module that must not touch this process.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace hsmith::tokens {

// Says what is done from now on: a child that crashes, or is killed, is reported with it.
using Say = std::function<void(std::string_view what)>;

// Runs `work` in a child process and returns what it returned. An Error that it throws is thrown
// here as it was. A child that crashes, or takes longer than `limit` and is killed, is token_failed
// with `doing`. Must run while this process has no module loaded: modules do not survive a fork.
std::string run_in_child(const std::string& doing, std::chrono::milliseconds limit,
                         const std::function<std::string()>& work);
std::string run_in_child(const std::string& doing, std::chrono::milliseconds limit,
                         const std::function<std::string(const Say& say)>& work);

}  // namespace hsmith::tokens
