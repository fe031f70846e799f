// Files that a command makes one after the other: where it is interrupted, the next run of it goes
// on, and replaces what that one made and nothing else.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/context.h"

namespace hsmith::cli {

struct MadeFile {
  std::string path;
  Bytes content;
};

// Notes of what is written lie in the state folder, a file a run, locked while it runs.
class RunFiles {
 public:
  // Reads the notes of runs of the same command that did not come to their end.
  explicit RunFiles(const Context& context);

  // yes with --force, and where the file at `path` is, byte for byte, what such a run wrote.
  Replace replace(const std::string& path) const;
  // Notes the files, on the disk, then writes each as write_file() does; 0600.
  void write(const std::vector<MadeFile>& files);
  // The run has come to its end: its notes go once its outcome is printed, and those of which no
  // file is left.
  void done() const;

 private:
  using Notes = std::map<std::string, std::string>;  // absolute path: SHA-256, hex
  struct Earlier {
    std::filesystem::path file;
    Notes notes;
  };

  void note(const std::vector<MadeFile>& files);

  const Context& context_;
  std::filesystem::path folder_;
  std::string prefix_;
  std::vector<Earlier> earlier_;
  std::filesystem::path own_;
  Descriptor file_;
  std::set<std::string> written_;  // absolute paths
};

// Called by the frame around the commands when an outcome is printed. Not before: without a
// password that was made here, files are of no use.
void forget_finished_runs();

}  // namespace hsmith::cli
