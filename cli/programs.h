// Configuration of the programs that use a token's key through libp11's engine for OpenSSL.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hsmith::cli {

// What the configurations are made of. No text of it is a PIN.
struct UsedKey {
  std::string uri;  // of the private key: label and id, and the PIN file when there is one
  bool has_pin_file = false;
  std::string engine;  // the engine's shared library
  std::string module;  // the PKCS#11 module
  std::string module_init;
  std::filesystem::path folder;     // absolute: where the files are, or will be put
  std::string name;                 // for files: "web"
  std::string certificates;         // PEM: the key's certificate, then its issuers
  std::string listen;               // servers: address and port
  std::optional<std::string> user;  // servers: whom the workers run as
};

struct ProgramFile {
  std::string name;
  std::string content;
};

struct ProgramSetup {
  std::vector<ProgramFile> files;
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> commands;  // for sh, which show that it works
};

// The openssl.cnf that loads the engine with this module.
std::string openssl_configuration(const UsedKey& key);

// The openssl program, and whatever else takes OPENSSL_CONF and a PKCS#11 URI.
ProgramSetup openssl_setup(const UsedKey& key);

// nginx 1.22: a server whole, with its openssl.cnf and certificate. Throws unsupported for a folder
// whose name nginx cannot be told.
ProgramSetup nginx_setup(const UsedKey& key);

// Apache 2.4.42 or newer, as nginx: a server whole. Throws unsupported for a folder whose name
// Apache cannot be told.
ProgramSetup apache_setup(const UsedKey& key);

// curl that shows the key's certificate to a server: a file for its --config. Throws unsupported
// for a folder whose name curl cannot be told.
ProgramSetup curl_setup(const UsedKey& key);

// The URI with ?pin-source=file:PATH (RFC 7512, 2.4), as libp11 and hsmith read it.
std::string with_pin_file(const std::string& uri, const std::filesystem::path& pin_file);

}  // namespace hsmith::cli
