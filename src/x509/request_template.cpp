#include "src/x509/request_template.h"

#include <filesystem>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/x509/inf.h"
#include "src/x509/name.h"
#include "src/x509/request_inf.h"
#include "src/x509/toml_table.h"

namespace hsmith::x509 {
namespace {

// "CN=…,C=…", or a table with the single fields.
ossl::Name subject_from(const TomlTable& root) {
  if (!root.has_table("subject")) {
    std::string text;
    root.read("subject", text);
    return text.empty() ? nullptr : parse_name(text);
  }
  constexpr std::pair<const char*, const char*> kFields[] = {{"c", "C"},
                                                             {"st", "ST"},
                                                             {"l", "L"},
                                                             {"o", "O"},
                                                             {"ou", "OU"},
                                                             {"cn", "CN"},
                                                             {"email", "emailAddress"}};
  const TomlTable fields = root.inner("subject", {"c", "st", "l", "o", "ou", "cn", "email"});
  std::vector<SubjectPart> parts;
  for (const auto& [key, type] : kFields) {
    std::string value;
    fields.read(key, value);
    if (!value.empty()) parts.push_back({type, value});
  }
  return parts.empty() ? nullptr : name_from_parts(parts);
}

ExtraExtension extension_from(const TomlTable& table, const std::filesystem::path& folder) {
  std::string oid;
  std::string file;
  std::string digits;
  bool critical = false;
  table.read("oid", oid);
  table.read("critical", critical);
  table.read("file", file);
  table.read("hex", digits);
  if (oid.empty() || file.empty() == digits.empty())
    table.refuse("oid", "an extension needs oid, and its DER value as file or as hex");
  if (!file.empty()) return extra_extension(oid, critical, read_file(folder / file));
  const auto der = parse_hex(digits);
  if (!der) table.refuse("hex", "ext.hex must be pairs of hexadecimal digits");
  return extra_extension(oid, critical, *der);
}

RequestTemplate from_toml(std::string_view text, const std::string& document,
                          const std::filesystem::path& folder) {
  const toml::table table = parse_toml(text, document);
  const TomlTable root(table, "", document,
                       {"profile", "key_type", "subject", "san", "ku", "eku", "digest", "scheme",
                        "new_header", "ext"});
  RequestTemplate wanted;
  root.read("profile", wanted.profile);
  root.read("key_type", wanted.key_type);
  root.read("digest", wanted.digest);
  root.read("scheme", wanted.scheme);
  root.read("new_header", wanted.new_header);
  root.read_list("ku", wanted.wishes.key_usage, parse_key_usage);
  root.read_list("eku", wanted.wishes.extended_key_usage, parse_extended_key_usage);
  try {
    wanted.subject = subject_from(root);
    std::vector<std::string> names;
    root.read("san", names);
    for (const std::string& one : names) {
      for (AltName& name : parse_alt_names(one, wanted.notices))
        wanted.wishes.names.push_back(std::move(name));
    }
    for (const TomlTable& one : root.list("ext", {"oid", "critical", "file", "hex"}))
      wanted.wishes.extra.push_back(extension_from(one, folder));
  } catch (const Error& error) {
    if (error.kind() != Kind::usage) throw;
    throw Error(Kind::configuration, fmt::format("read {}: {}", document, error.what()))
        .hint(error.hint());
  }
  return wanted;
}

}  // namespace

RequestTemplate parse_request_template(ByteView content, const std::string& file) {
  const std::string document = fmt::format("the template {}", quoted(file));
  const std::string text = inf_text(content, document);
  if (looks_like_inf(text)) return request_from_inf(parse_inf(text, document), document);
  return from_toml(text, document, std::filesystem::path(file).parent_path());
}

}  // namespace hsmith::x509
