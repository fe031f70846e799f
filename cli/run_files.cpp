#include "cli/run_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "src/base/sha256.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  return fs::absolute(path).lexically_normal().string();
}

[[noreturn]] void fail(const fs::path& file) {
  throw Error(Kind::io, fmt::format("note in {} what is written: {}", quoted(file.string()),
                                    std::strerror(errno)));
}

// Lines "SHA-256 PATH", the path in hex as well. The last one of a run that was killed may be torn:
// there is no file yet then.
std::map<std::string, std::string> read_notes(const fs::path& file) {
  std::map<std::string, std::string> notes;
  const Bytes content = read_file(file.string());
  std::string_view rest = as_text(content);
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const auto words = split(rest.substr(0, end), ' ');
    const auto path = words.size() == 2 ? parse_hex(words[1]) : std::nullopt;
    if (path) notes[std::string(as_text(*path))] = words[0];
    rest.remove_prefix(end + 1);
  }
  return notes;
}

std::vector<fs::path> finished;  // notes of this process, at the end of its command

bool is_there(const std::string& path, const std::string& sha256) {
  return fs::is_regular_file(path) && sha256_hex(read_file(path)) == sha256;
}

// False while the process runs whose notes they are.
bool is_abandoned(const fs::path& file) {
  const Descriptor opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return opened.get() >= 0 && flock(opened.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

RunFiles::RunFiles(const Context& context)
    : context_(context),
      folder_(context.environment.state_folder / "unfinished"),
      prefix_(file_name_for(context.command) + ".") {
  if (!fs::is_directory(folder_)) return;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().filename().string().starts_with(prefix_) && is_abandoned(entry.path()))
      earlier_.push_back({entry.path(), read_notes(entry.path())});
  }
}

Replace RunFiles::replace(const std::string& path) const {
  for (const Earlier& run : earlier_) {
    const auto made = run.notes.find(absolute(path));
    if (made != run.notes.end() && is_there(path, made->second)) return Replace::yes;
  }
  return context_.replace();
}

void RunFiles::note(const std::vector<MadeFile>& files) {
  if (file_.get() < 0) {
    make_private_folder(folder_);
    own_ = folder_ / fmt::format("{}XXXXXX", prefix_);
    std::string name = own_.string();
    file_ = Descriptor(mkostemp(name.data(), O_CLOEXEC));
    if (file_.get() < 0) fail(own_);
    own_ = name;
    if (flock(file_.get(), LOCK_EX) != 0) fail(own_);  // somebody may be looking whether it is held
    sync_folder(folder_);
  }
  std::string lines;
  for (const MadeFile& one : files)
    lines += fmt::format("{} {}\n", sha256_hex(one.content), hex(as_bytes(absolute(one.path))));
  const ssize_t done = ::write(file_.get(), lines.data(), lines.size());
  const bool is_whole = done == static_cast<ssize_t>(lines.size());
  if (!is_whole && done >= 0) errno = ENOSPC;  // write() itself has done what it could
  if (!is_whole || fsync(file_.get()) != 0) fail(own_);
}

void RunFiles::write(const std::vector<MadeFile>& files) {
  note(files);
  for (const MadeFile& one : files) {
    write_file(one.path, one.content, kPrivateFile, replace(one.path));
    written_.insert(absolute(one.path));
  }
}

void RunFiles::done() const {
  if (!own_.empty()) finished.push_back(own_);
  for (const Earlier& run : earlier_) {
    // Without notes it may be that of a process which has just begun.
    const bool is_open =
        run.notes.empty() ||
        std::any_of(run.notes.begin(), run.notes.end(), [this](const auto& note) {
          // What is ours now is no longer theirs, be it the same: a receipt of the same second.
          return !written_.contains(note.first) && is_there(note.first, note.second);
        });
    if (!is_open) finished.push_back(run.file);
  }
}

void forget_finished_runs() {
  for (const fs::path& file : finished) {
    std::error_code ignored;  // notes that stay allow to replace what was made, no more
    fs::remove(file, ignored);
  }
  if (!finished.empty()) sync_folder(finished.front().parent_path());
}

}  // namespace hsmith::cli
