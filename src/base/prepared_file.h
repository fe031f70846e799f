// Files that are whole before they have their name.
#pragma once

#include <functional>
#include <string>

#include "src/base/files.h"

namespace hsmith {

// All of write_file but its last step, which is the function that comes back: the content is on the
// disk and has no name yet. For what must be recorded before anybody sees it. For "-" and devices
// all is left to that function.
std::function<void()> prepare_file(const std::string& path, ByteView content, FileMode mode,
                                   Replace replace);

// Gives a whole file another name in the same folder, durable when it returns. Throws exists, io.
void move_file(const std::string& from, const std::string& to, Replace replace);

}  // namespace hsmith
