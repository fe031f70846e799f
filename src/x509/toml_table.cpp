#include "src/x509/toml_table.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::x509 {

void refuse_toml(std::string_view document, const toml::source_region& where,
                 std::string_view cause, std::string hint) {
  throw Error(Kind::configuration,
              fmt::format("read {}, line {}: {}", document, where.begin.line, cause))
      .hint(std::move(hint));
}

toml::table parse_toml(std::string_view text, std::string_view document) {
  try {
    return toml::parse(text, document);
  } catch (const toml::parse_error& error) {
    refuse_toml(document, error.source(), lower(error.description()));
  }
}

TomlTable::TomlTable(const toml::table& table, std::string name, std::string document,
                     std::vector<std::string> keys)
    : table_(table), name_(std::move(name)), document_(std::move(document)) {
  for (const auto& [key, value] : table) {
    const std::string text(key.str());
    if (std::find(keys.begin(), keys.end(), text) != keys.end()) continue;
    const auto near = did_you_mean(text, keys);
    refuse_toml(document_, value.source(), fmt::format("{} is not known", path(text)),
                near ? fmt::format("did you mean {}?", path(*near))
                     : fmt::format("known are: {}", fmt::join(keys, ", ")));
  }
}

void TomlTable::read(const char* key, std::string& into) const {
  if (const toml::node* node = table_.get(key)) into = text_of_node(*node, key);
}

void TomlTable::read(const char* key, bool& into) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto value = node->value_exact<bool>();
  if (!value) refuse(key, fmt::format("{} must be true or false", path(key)));
  into = *value;
}

void TomlTable::read(const char* key, int& into, int least, int most) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < least || *value > most)
    refuse(key, fmt::format("{} must be a number from {} to {}", path(key), least, most));
  into = static_cast<int>(*value);
}

void TomlTable::read(const char* key, std::vector<std::string>& into) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  if (list == nullptr) refuse(key, fmt::format("{} must be a list of texts", path(key)));
  into.clear();
  for (const toml::node& one : *list) into.push_back(text_of_node(one, key));
}

void TomlTable::read(const char* key, std::vector<std::string>& into,
                     const std::vector<std::string>& words) const {
  read(key, into);
  for (const std::string& word : into) {
    if (std::find(words.begin(), words.end(), word) != words.end()) continue;
    refuse(key, fmt::format("{} holds {}: known are {}", path(key), quoted(word),
                            fmt::join(words, ", ")));
  }
}

void TomlTable::read_list(
    const char* key, std::vector<std::string>& into,
    const std::function<std::vector<std::string>(const std::string&)>& parse) const {
  read(key, into);
  try {
    into = parse(fmt::format("{}", fmt::join(into, ",")));
  } catch (const Error& error) {
    refuse(key, fmt::format("{}: {}", path(key), error.what()), error.hint());
  }
}

bool TomlTable::has_table(const char* key) const {
  const toml::node* node = table_.get(key);
  return node != nullptr && node->is_table();
}

TomlTable TomlTable::inner(const char* key, std::vector<std::string> keys) const {
  static const toml::table kEmpty;
  const toml::node* node = table_.get(key);
  if (node == nullptr) return TomlTable(kEmpty, key, document_, std::move(keys));
  if (!node->is_table()) refuse(key, fmt::format("[{}] must be a table", key));
  return TomlTable(*node->as_table(), key, document_, std::move(keys));
}

std::vector<TomlTable> TomlTable::list(const char* key,
                                       const std::vector<std::string>& keys) const {
  std::vector<TomlTable> tables;
  const toml::node* node = table_.get(key);
  if (node == nullptr) return tables;
  if (!node->is_array_of_tables()) refuse(key, fmt::format("{0} must be tables: [[{0}]]", key));
  for (const toml::node& one : *node->as_array())
    tables.emplace_back(*one.as_table(), key, document_, keys);
  return tables;
}

void TomlTable::refuse(const char* key, std::string_view cause, std::string hint) const {
  const toml::node* node = table_.get(key);
  refuse_toml(document_, node != nullptr ? node->source() : table_.source(), cause,
              std::move(hint));
}

std::string TomlTable::path(std::string_view key) const {
  return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
}

std::string TomlTable::text_of_node(const toml::node& node, const char* key) const {
  const auto text = node.value_exact<std::string>();
  if (!text) refuse_toml(document_, node.source(), fmt::format("{} must be text", path(key)));
  return *text;
}

}  // namespace hsmith::x509
