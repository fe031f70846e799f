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

// True when both names lead to one file, or would: what is not there yet is known by its path.
// Never for "-", "" and for what is there and no regular file.
bool is_same_file(const std::string& one, const std::string& other);

// True for "-", and for every other name of a standard input that is no regular file, such as
// /dev/stdin: what is read of it is gone.
bool is_standard_input(const std::string& path);

}  // namespace hsmith
