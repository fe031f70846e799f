// The configuration file (TOML).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/base/environment.h"

namespace hsmith::cli {

enum class AuditFlush { changes, always };

// Keys as the file has them; [section] key is section_key. Relative paths of files are relative to
// the configuration's folder and already made absolute.
struct Config {
  std::string path;  // empty when there was no file
  std::optional<std::string> module;
  std::optional<std::string> module_init;
  std::optional<std::string> token;
  std::optional<std::string> pin_source;
  std::optional<std::string> so_pin_source;
  std::optional<std::string> audit_file;
  AuditFlush audit_flush = AuditFlush::changes;
  std::optional<std::string> lock_folder;
  std::optional<std::string> archive_url;
  std::optional<std::string> archive_seal_cert;
  std::vector<std::string> recover_officers;
  std::vector<std::string> trust_anchors;  // files, or "system"
  std::vector<std::string> trust_crls;
  // [quirks."module name"]: names and values as text ("true", "3", "word").
  std::map<std::string, std::map<std::string, std::string>> quirks;
};

// Reads `path`, which must exist, or without one the user's and then the system's file, which need
// not. Throws configuration with file, line and the nearest key for what it does not know or is of
// the wrong type, and unsafe_permissions when others may write to the file.
Config load_config(const std::optional<std::string>& path, const Environment& environment);

}  // namespace hsmith::cli
