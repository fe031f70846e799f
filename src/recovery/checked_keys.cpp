#include "src/recovery/checked_keys.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/recovery/seal.h"

namespace hsmith::recovery {
namespace {

constexpr std::size_t kMostSeals = 100;  // in memory; the rows of one change stand together

class Seals {
 public:
  explicit Seals(Archive& archive) : archive_(archive) {}

  // What is wrong with a row; "" when it is what was sealed.
  std::string problem_of(const KeyRow& key) {
    try {
      const Seal& seal = seal_of(key);
      const auto sealed = seal.keys.find(key.id);
      const bool same = sealed != seal.keys.end() && sealed->second.fingerprint == fingerprint(key);
      return same ? "" : fmt::format("key {}: it is not what was sealed", key.id);
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
      return fmt::format("key {}: {}", key.id, error.what());
    }
  }

 private:
  const Seal& seal_of(const KeyRow& key) {
    const auto known = seals_.find(key.seal);
    if (known != seals_.end()) return known->second;
    const auto row = archive_.store->seal(key.seal);
    if (!row) throw Error(Kind::mismatch, "its seal is missing");
    if (seals_.size() == kMostSeals) seals_.clear();
    return seals_[key.seal] = checked_seal(archive_, *row);
  }

  Archive& archive_;
  std::map<std::int64_t, Seal> seals_;
};

}  // namespace

std::vector<std::string> each_checked_key(Archive& archive,
                                          const std::function<void(const KeyRow&)>& take) {
  Seals seals(archive);
  std::vector<std::string> problems;
  archive.store->each_key([&](const KeyRow& key) {
    std::string problem = seals.problem_of(key);
    if (problem.empty()) {
      take(key);
    } else {
      problems.push_back(std::move(problem));
    }
  });
  return problems;
}

}  // namespace hsmith::recovery
