// The audit log: one JSON line an event, each with the hash of the line before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "src/base/bytes.h"

namespace hsmith::audit {

using Json = nlohmann::ordered_json;

enum class Flush { yes, no };

// A place in the log: the number of an entry (from 1) and the SHA-256 of its line, hex.
struct Position {
  std::uint64_t number = 0;
  std::string hash;
};

// The hash that stands before the first entry.
std::string no_hash();

// Appends one entry under an exclusive lock: {"seq", "prev", "time", "pid", "uid", then `fields`}.
// With Flush::yes it is on the disk when the function returns. A last line that a crash tore is cut
// off, and an entry says so. Throws io when the entry cannot be written: then the operation that it
// announces must not happen. Nobody passes a PIN, a key or a plaintext.
Position append(const std::filesystem::path& log, const Json& fields, Flush flush);

// What verification found. `problem` names the first bad line and is empty when the log holds.
struct Verification {
  Position last;
  std::string problem;
  bool torn = false;  // the last line is not complete: a crash, not an edit
};

// Reads the whole log: the chain, the order and, where a checkpoint was kept, that its entry is
// still there as it was. Bounded memory; a line longer than 1 MiB is a problem.
Verification verify(const std::filesystem::path& log, const std::optional<Position>& checkpoint);

// Calls `take` with each whole line, in order.
void read_entries(const std::filesystem::path& log,
                  const std::function<void(std::string_view)>& take);

}  // namespace hsmith::audit
