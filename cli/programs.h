// Configuration of the programs that use a token's key: through libp11's engine for OpenSSL, or
// through OpenSSH's own reading of a PKCS#11 module.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hsmith::cli {

// What the configurations are made of. No text of it is a PIN.
struct UsedKey {
  std::string uri;     // of the private key: label and id, and the PIN file when there is one
  std::string engine;  // the engine's shared library
  std::string module;  // the PKCS#11 module
  std::string module_init;
  std::filesystem::path folder;     // absolute: where the files are, or will be put
  std::string name;                 // for files: "web"
  std::string certificates;         // PEM: the key's certificate, then its issuers
  std::string listen;               // servers: address and port
  std::optional<std::string> user;  // servers: whom the workers run as
  std::string group;                // the user's primary one; "" without a user
  std::string pin_file;             // absolute; "" when there is none
  std::string ssh_public_key;       // an authorized_keys line without its comment
};

struct ProgramFile {
  std::string name;
  std::string content;
  bool is_program = false;
};

using ProgramEnvironment = std::vector<std::pair<std::string, std::string>>;

struct ProgramSetup {
  std::vector<ProgramFile> files;
  ProgramEnvironment environment;
  std::vector<std::string> commands;  // for sh, which show that it works
};

// What SoftHSM finds its tokens by, where it is set.
ProgramEnvironment soft_hsm_environment();

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

// osslsigncode, which signs programs and catalogues for Windows.
ProgramSetup osslsigncode_setup(const UsedKey& key);

// OpenSSH 8.7 or newer: an ssh_config by which ssh offers this key and no other. Throws unsupported
// for what its configuration cannot be told.
ProgramSetup ssh_setup(const UsedKey& key);

// git 2.34 or newer, which signs commits and tags through ssh-keygen and ssh-agent.
ProgramSetup git_setup(const UsedKey& key);

// The program that ssh and ssh-add ask for a PIN (SSH_ASKPASS): it answers with the file's content
// when they ask for that, and with nothing else whatever they ask.
std::string askpass_program(const std::string& pin_file);

// The URI with ?pin-source=file:PATH (RFC 7512, 2.4), as libp11 and hsmith read it.
std::string with_pin_file(const std::string& uri, const std::filesystem::path& pin_file);

}  // namespace hsmith::cli
