// The journal: what was about to be changed, written down before and struck out after.
#pragma once

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hsmith::journal {

using Json = nlohmann::ordered_json;

// What a command is about to do to a token. `facts` is what it takes to finish or to undo it:
// labels, ids and public keys, never a secret.
struct Intent {
  std::string operation;  // "key generate"
  std::string token_serial;
  std::string token_label;
  Json facts = Json::object();
};

// An intent that stands in the journal.
struct Entry {
  std::filesystem::path file;
  Intent intent;
  std::time_t time = 0;
  long pid = 0;
  std::string unreadable;  // why the file is no entry, or empty
};

// Writes the intent down; on the disk when this returns. Throws io: then nothing may be changed.
std::filesystem::path begin(const std::filesystem::path& state_folder, const Intent& intent);
// Replaces what is written, when more is known: the public key of a key that was just made.
void update(const std::filesystem::path& entry, const Intent& intent);
// Strikes it out: the operation has happened, or has left nothing behind.
void end(const std::filesystem::path& entry);

// What was begun and not ended, oldest first; entries of processes that still run are left out, and
// those that others may have written are unreadable. Throws io when the journal cannot be looked
// through, unsafe_permissions when others may write to it: they would decide over keys.
std::vector<Entry> unfinished(const std::filesystem::path& state_folder);

}  // namespace hsmith::journal
