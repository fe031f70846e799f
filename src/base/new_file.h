// A file of any size that is made piece by piece, and read again before it gets its name.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "src/base/files.h"

namespace hsmith {

class NewFile {
 public:
  NewFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  void put(ByteView bytes);
  // From here on the file is read, from its start.
  void rewind();
  // Exactly as many bytes; false when there are not so many.
  bool get(std::span<unsigned char> bytes);
  bool at_end();

 private:
  int fd_;
  std::string path_;
};

// As write_file(): `fill` writes the file, reads it again where it wants, and throws when it must
// not be kept. For standard output and devices it is made in the folder for temporary files first.
void write_file(const std::string& path, FileMode mode, Replace replace,
                const std::function<void(NewFile&)>& fill);

}  // namespace hsmith
