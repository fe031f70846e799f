#include "src/journal/intents.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/json.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::journal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestEntry = 1u << 20;

fs::path folder_of(const fs::path& state_folder) { return state_folder / "journal"; }

// When a process began, in ticks since the machine started: a process id alone comes again. Empty
// where it runs no more, though its parent has not asked for its end yet.
std::string start_of(long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t name_end = text.rfind(')');  // the name may hold blanks
  if (name_end == std::string::npos) return "";
  const std::vector<std::string> fields = split(trim(text.substr(name_end + 1)), ' ');
  const bool runs = fields.size() > 19 && fields[0] != "Z" && fields[0] != "X";
  return runs ? fields[19] : "";
}

std::string text_of(const Intent& intent) {
  const Json entry{{"journal", 1},
                   {"operation", intent.operation},
                   {"time", std::time(nullptr)},
                   {"pid", getpid()},
                   {"pid_start", start_of(getpid())},
                   {"token_serial", intent.token_serial},
                   {"token_label", intent.token_label},
                   {"facts", intent.facts}};
  return entry.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

bool still_runs(const Json& entry) {
  const long pid = entry.at("pid").get<long>();
  return pid != getpid() && pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM) &&
         start_of(pid) == entry.at("pid_start").get<std::string>();
}

// Throws unsafe_permissions when somebody else may have written it.
void refuse_others(const fs::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    throw Error(Kind::io, fmt::format("read {}: {}", quoted(path.string()), strerror(errno)));
  }
  const bool is_mine = status.st_uid == geteuid() || status.st_uid == 0;
  if (is_mine && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
  throw Error(Kind::unsafe_permissions,
              fmt::format("read {}: {}", quoted(path.string()),
                          is_mine ? "others may write to it" : "it belongs to another user"))
      .hint(is_mine ? "see who wrote into it, then: chmod go-w " + shell_word(path.string())
                    : "run hsmith as its owner, or name another folder with --state");
}

// True when the entry is to be listed; a file that is no entry is listed as such.
bool read_entry(const fs::path& file, Entry& into) {
  into.file = file;
  try {
    refuse_others(file);
    const Bytes content = read_file(file.string(), kLargestEntry);
    const Json entry = parse_json(as_text(content));
    if (still_runs(entry)) return false;
    if (entry.at("journal") != 1)
      throw Error(Kind::malformed, "another version of hsmith wrote it");
    into.intent.operation = entry.at("operation").get<std::string>();
    into.intent.token_serial = entry.at("token_serial").get<std::string>();
    into.intent.token_label = entry.at("token_label").get<std::string>();
    into.intent.facts = entry.at("facts");
    into.time = entry.at("time").get<std::time_t>();
    into.pid = entry.at("pid").get<long>();
  } catch (const Json::exception& error) {
    into.unreadable = printable(error.what());
  } catch (const Error& error) {
    into.unreadable = error.what();
  }
  return true;
}

}  // namespace

fs::path begin(const fs::path& state_folder, const Intent& intent) {
  make_private_folder(folder_of(state_folder));
  for (int number = 0;; ++number) {
    const fs::path file = folder_of(state_folder) /
                          fmt::format("{}-{}-{}.json", std::time(nullptr), getpid(), number);
    try {
      write_file(file.string(), as_bytes(text_of(intent)), kPrivateFile, Replace::no);
      return file;
    } catch (const Error& error) {
      if (error.kind() != Kind::exists || number == 1000) throw error.during("write the journal");
    }
  }
}

void update(const fs::path& entry, const Intent& intent) {
  write_file(entry.string(), as_bytes(text_of(intent)), kPrivateFile, Replace::yes);
}

void end(const fs::path& entry) {
  unlink(replacement_of(entry).c_str());  // what an update that was killed may have left
  if (unlink(entry.c_str()) != 0 && errno != ENOENT) {
    throw Error(Kind::io, fmt::format("strike {} out of the journal: {}", quoted(entry.string()),
                                      strerror(errno)));
  }
  sync_folder(entry.parent_path());
}

std::vector<Entry> unfinished(const fs::path& state_folder) {
  const fs::path folder = folder_of(state_folder);
  std::vector<Entry> entries;
  try {
    if (fs::symlink_status(folder).type() == fs::file_type::not_found) return entries;
    refuse_others(folder);
    for (const fs::directory_entry& file : fs::directory_iterator(folder)) {
      if (file.path().extension() != ".json") continue;
      Entry entry;
      if (read_entry(file.path(), entry)) entries.push_back(std::move(entry));
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(Kind::io, fmt::format("read the journal {}: {}", quoted(folder.string()),
                                      error.code().message()));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.file < b.file; });
  return entries;
}

}  // namespace hsmith::journal
