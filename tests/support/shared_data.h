// Test data of others, which the repository does not hold.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace hsmith::tests {

// A path below $HSMITH_SHARED, by default ../shared next to the repository. It need not be there:
// a test that finds it absent skips itself.
inline std::filesystem::path shared_data(std::string_view below) {
  const char* set = std::getenv("HSMITH_SHARED");
  if (set != nullptr && *set != '\0') return std::filesystem::path(set) / below;
  const auto repository = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  return repository.parent_path() / "shared" / below;
}

}  // namespace hsmith::tests
