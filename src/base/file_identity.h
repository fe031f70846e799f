// Which file a name leads to.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>

namespace hsmith {

using FileIdentity = std::pair<dev_t, ino_t>;

// The regular file that a name leads to, whatever the name: "./f", a link, through another folder.
// nullopt where there is none; "-" is a stream.
std::optional<FileIdentity> identity_of(const std::string& path);

// True when both names lead to one file.
bool is_same_file(const std::string& one, const std::string& other);

}  // namespace hsmith
