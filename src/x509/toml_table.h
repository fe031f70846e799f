// TOML as people write it for hsmith: every key known, every value of its type, errors with a line.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

namespace hsmith::x509 {

// Throws configuration: "read <document>, line <n>: <cause>".
[[noreturn]] void refuse_toml(std::string_view document, const toml::source_region& where,
                              std::string_view cause, std::string hint = "");

// The whole of a document, which errors call `document` ("the profile server.toml").
toml::table parse_toml(std::string_view text, std::string_view document);

// Reads the values of one table, which must live longer. What is absent leaves `into` as it is.
class TomlTable {
 public:
  // Throws configuration, with the nearest key, when the table has a key that is not in `keys`.
  TomlTable(const toml::table& table, std::string name, std::string document,
            std::vector<std::string> keys);

  void read(const char* key, std::string& into) const;
  void read(const char* key, bool& into) const;
  void read(const char* key, int& into, int least, int most) const;
  void read(const char* key, std::vector<std::string>& into) const;
  // A list of words of which each must be one of `words`.
  void read(const char* key, std::vector<std::string>& into,
            const std::vector<std::string>& words) const;
  // A list that `parse` understands as one text joined by commas; it gives back the usual spelling.
  void read_list(const char* key, std::vector<std::string>& into,
                 const std::function<std::vector<std::string>(const std::string&)>& parse) const;

  bool has_table(const char* key) const;
  // A table below this one; an absent one is empty.
  TomlTable inner(const char* key, std::vector<std::string> keys) const;
  // The tables of [[key]].
  std::vector<TomlTable> list(const char* key, const std::vector<std::string>& keys) const;

  // The same error for a value that only its reader can judge.
  [[noreturn]] void refuse(const char* key, std::string_view cause, std::string hint = "") const;

 private:
  std::string path(std::string_view key) const;
  std::string text_of_node(const toml::node& node, const char* key) const;

  const toml::table& table_;
  std::string name_;
  std::string document_;
};

}  // namespace hsmith::x509
