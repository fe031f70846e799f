#include "src/recovery/selection.h"

#include <numeric>
#include <openssl/rand.h>

#include "src/ossl/check.h"

namespace hsmith::recovery {
namespace {

// C(n, k), never more than `limit`.
std::uint64_t choose(std::uint64_t n, std::uint64_t k, std::uint64_t limit) {
  if (k > n) return 0;
  std::uint64_t result = 1;
  for (std::uint64_t i = 1; i <= k; ++i) {
    result = result * (n - k + i) / i;
    if (result >= limit) return limit;
  }
  return result;
}

constexpr std::uint64_t kMostSubsets = 1ull << 40;

// The subset with this number in lexicographic order.
std::vector<std::size_t> subset(std::size_t n, std::size_t k, std::uint64_t number) {
  std::vector<std::size_t> chosen;
  for (std::size_t next = 0; chosen.size() < k; ++next) {
    const std::uint64_t with = choose(n - next - 1, k - chosen.size() - 1, kMostSubsets);
    if (number < with) {
      chosen.push_back(next);
    } else {
      number -= with;
    }
  }
  return chosen;
}

}  // namespace

std::int64_t cursor_step(Selection selection, std::size_t per_key) {
  return selection == Selection::round_robin ? static_cast<std::int64_t>(per_key) : 1;
}

std::vector<std::size_t> select_agents(Selection selection, std::size_t usable, std::size_t per_key,
                                       std::int64_t cursor) {
  const auto place = static_cast<std::uint64_t>(cursor);
  if (selection == Selection::all) {
    std::vector<std::size_t> all(usable);
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  if (selection == Selection::spread)
    return subset(usable, per_key, place % choose(usable, per_key, kMostSubsets));
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < per_key; ++i) chosen.push_back((place + i) % usable);
  return chosen;
}

std::int64_t random_cursor() {
  std::uint32_t number = 0;
  ossl::check(RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof number) == 1,
              "choose the first agent");
  return number >> 1;
}

}  // namespace hsmith::recovery
