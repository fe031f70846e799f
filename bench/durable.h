// The writes that hsmith makes durable before it says that something is done. The floors make the
// same ones: a ratio shall say what hsmith costs, not what the disk does.
#pragma once

#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/token.h"

namespace bench {

inline void must_do(bool done, const char* what) { must(done ? CKR_OK : CKR_GENERAL_ERROR, what); }

enum class Flush { no, yes };

// An entry at the end of a log.
inline void log_entry(const std::string& log, const std::string& text, Flush flush) {
  const int file = open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  must_do(file >= 0 && flock(file, LOCK_EX) == 0, "open the log");
  must_do(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "log");
  must_do(flush == Flush::no || fdatasync(file) == 0, "log");
  close(file);
}

// A file that is there as a whole or not at all; it takes the place of one that has its name.
inline void write_file(const std::string& path, const void* content, std::size_t size) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  must_do(file >= 0 && write(file, content, size) == static_cast<ssize_t>(size), "write");
  must_do(fchmod(file, 0644) == 0 && fsync(file) == 0, "write");
  const int opened = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::string unnamed = "/proc/self/fd/" + std::to_string(file);
  const auto link_as = [&](const std::string& name) {
    return linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (!link_as(path)) {
    const std::string beside = path + ".new";
    must_do(link_as(beside) && rename(beside.c_str(), path.c_str()) == 0, "write");
  }
  must_do(fsync(opened) == 0, "write");
  close(opened);
  close(file);
}

}  // namespace bench
