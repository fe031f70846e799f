// Whether a list of names, such as an extension's usages, has one of them.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace hsmith {

inline bool contains(std::span<const std::string> list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

}  // namespace hsmith
