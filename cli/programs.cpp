#include "cli/programs.h"

#include <fmt/format.h>

#include "src/base/environment.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

// With a backslash before each of the special characters.
std::string escaped(std::string_view text, std::string_view special) {
  std::string plain;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) plain += '\\';
    plain += c;
  }
  return plain;
}

// A value in an openssl.cnf (config(5)): there a backslash keeps the next character from meaning
// something.
std::string openssl_value(std::string_view text) { return escaped(text, "\\$#\"'`"); }

// A parameter of an nginx directive. A '$' begins a variable there and cannot be escaped.
std::string nginx_word(std::string_view text) {
  if (text.find('$') != std::string_view::npos) {
    throw Error(Kind::unsupported,
                fmt::format("write {} into a configuration of nginx: it would take what follows "
                            "the $ for a variable",
                            quoted(text)))
        .hint("use a folder without $ in its name");
  }
  return '"' + escaped(text, "\"\\") + '"';
}

// A name in double quotes, as Apache and curl read it. Neither can be told a line feed, nor Apache
// a "${", which begins a variable there.
std::string quoted_word(const char* program, std::string_view text) {
  const bool is_apache = std::string_view(program) == "Apache";
  if (text.find('\n') != std::string_view::npos ||
      (is_apache && text.find("${") != std::string_view::npos)) {
    throw Error(Kind::unsupported, fmt::format("write {} into a configuration of {}: it would not "
                                               "take it as it is",
                                               quoted(text), program))
        .hint(is_apache ? "use a folder without ${ and line feeds in its name"
                        : "use a folder without line feeds in its name");
  }
  return '"' + escaped(text, "\"\\") + '"';
}

std::string apache_word(std::string_view text) { return quoted_word("Apache", text); }
std::string curl_word(std::string_view text) { return quoted_word("curl", text); }

ProgramEnvironment environment_of(const UsedKey& key) {
  ProgramEnvironment variables = soft_hsm_environment();
  variables.emplace(variables.begin(), "OPENSSL_CONF", key.folder / "openssl.cnf");
  return variables;
}

constexpr std::string_view kPinComment =
    "# The PIN: a file that holds it and nothing else, no line feed either, which only the\n"
    "# program's user may read. hsmith use … --pin-file FILE puts its name into the URI.\n";

}  // namespace

ProgramEnvironment soft_hsm_environment() {
  const auto configuration = variable("SOFTHSM2_CONF");
  if (!configuration) return {};
  return {{"SOFTHSM2_CONF", std::filesystem::absolute(*configuration)}};
}

std::string with_pin_file(const std::string& uri, const std::filesystem::path& pin_file) {
  constexpr std::string_view kAsItIs =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/";
  std::string path;
  for (const char c : pin_file.string()) {
    const bool plain = kAsItIs.find(c) != std::string_view::npos;
    path += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri + "?pin-source=file:" + path;
}

std::string openssl_configuration(const UsedKey& key) {
  std::string text = fmt::format(
      "openssl_conf = openssl_init\n"
      "\n"
      "[openssl_init]\n"
      "engines = engine_section\n"
      "\n"
      "[engine_section]\n"
      "pkcs11 = pkcs11_section\n"
      "\n"
      "[pkcs11_section]\n"
      "engine_id = pkcs11\n"
      "dynamic_path = {}\n"
      "MODULE_PATH = {}\n",
      openssl_value(key.engine), openssl_value(key.module));
  if (!key.module_init.empty()) {
    text += fmt::format("INIT_ARGS = {}\n", openssl_value(key.module_init));
  }
  return text +
         "init = 0\n"
         "\n"
         "[req]\n"
         "distinguished_name = req_dn\n"
         "\n"
         "[req_dn]\n";
}

ProgramSetup openssl_setup(const UsedKey& key) {
  std::string content = "# OpenSSL with its pkcs11 engine, for the key\n# " + key.uri + "\n";
  if (key.pin_file.empty()) content += kPinComment;
  ProgramSetup setup;
  setup.files = {{"openssl.cnf", content + openssl_configuration(key)}};
  setup.environment = environment_of(key);
  setup.commands = {
      fmt::format("openssl dgst -engine pkcs11 -keyform engine -sign {} -sha256 -out FILE.sig FILE",
                  shell_word(key.uri)),
      fmt::format("openssl req -engine pkcs11 -keyform engine -key {} -new -subj /CN=… -out {}",
                  shell_word(key.uri), shell_word(key.name + ".csr"))};
  return setup;
}

ProgramSetup nginx_setup(const UsedKey& key) {
  const auto at = [&](const std::string& name) { return nginx_word((key.folder / name).string()); };
  const std::string user =
      key.user ? fmt::format(
                     "# This user's processes use the token: it must be able to reach it "
                     "(--as-user {} --test).\nuser {} {};\n",
                     *key.user, nginx_word(*key.user), nginx_word(key.group))
               : "";
  const std::string server = fmt::format(
      "  server {{\n"
      "    listen {} ssl;\n"
      "    ssl_protocols TLSv1.2 TLSv1.3;\n"
      "    ssl_certificate {};\n"
      "{}"
      "    ssl_certificate_key \"engine:pkcs11:{}\";\n"
      "    location / {{\n"
      "      return 200 \"the key of this server is on a token\\n\";\n"
      "    }}\n"
      "  }}\n",
      key.listen, at(key.name + ".crt"), key.pin_file.empty() ? kPinComment : "", key.uri);
  std::string temporary;
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    temporary += fmt::format("  {}_temp_path {};\n", kind, at(fmt::format("{}_temp", kind)));
  }
  const std::string main = fmt::format(
      "{}"
      "pid {};\n"
      "error_log {};\n"
      "env OPENSSL_CONF;\n"
      "env SOFTHSM2_CONF;\n"
      "ssl_engine pkcs11;\n"
      "events {{}}\n"
      "http {{\n"
      "  access_log off;\n"
      "{}{}"
      "}}\n",
      user, at("nginx.pid"), at("error.log"), temporary, server);
  ProgramSetup setup;
  setup.files = {{"nginx.conf", main},
                 {"openssl.cnf", openssl_configuration(key)},
                 {key.name + ".crt", key.certificates}};
  setup.environment = environment_of(key);
  setup.commands = {shell_line({"nginx", "-e", (key.folder / "error.log").string(), "-c",
                                (key.folder / "nginx.conf").string()})};
  return setup;
}

// Apache without a Group stays whoever started it.
ProgramSetup apache_setup(const UsedKey& key) {
  const auto at = [&](const std::string& name) {
    return apache_word((key.folder / name).string());
  };
  std::string modules;
  for (const char* module : {"mpm_event", "authz_core", "alias", "ssl"}) {
    modules += fmt::format("LoadModule {0}_module /usr/lib/apache2/modules/mod_{0}.so\n", module);
  }
  const std::string user =
      key.user ? fmt::format(
                     "# This user's processes use the token: it must be able to reach it "
                     "(--as-user {} --test).\nUser {}\nGroup {}\n",
                     *key.user, apache_word(*key.user), apache_word(key.group))
               : "";
  const std::string main = fmt::format(
      "{}{}"
      "ServerRoot {}\n"
      "DefaultRuntimeDir {}\n"
      "PidFile {}\n"
      "ErrorLog {}\n"
      "ServerName localhost\n"
      "Listen {} https\n"
      "SSLEngine on\n"
      "SSLProtocol -all +TLSv1.2 +TLSv1.3\n"
      "SSLCertificateFile {}\n"
      "{}"
      "SSLCertificateKeyFile {}\n"
      "AliasMatch ^ {}\n"
      "<Location />\n"
      "  Require all granted\n"
      "</Location>\n",
      modules, user, apache_word(key.folder.string()), apache_word(key.folder.string()),
      at("apache.pid"), at("error.log"), key.listen, at(key.name + ".crt"),
      key.pin_file.empty() ? kPinComment : "", apache_word(key.uri), at("page.txt"));
  ProgramSetup setup;
  setup.files = {{"apache.conf", main},
                 {"page.txt", "the key of this server is on a token\n"},
                 {"openssl.cnf", openssl_configuration(key)},
                 {key.name + ".crt", key.certificates}};
  setup.environment = environment_of(key);
  setup.commands = {shell_line({"apache2", "-f", (key.folder / "apache.conf").string()})};
  return setup;
}

ProgramSetup curl_setup(const UsedKey& key) {
  // curl(1), --cert: a colon begins the password unless a backslash stands before it.
  const std::string certificate = escaped((key.folder / (key.name + ".crt")).string(), ":\\");
  const std::string options = fmt::format(
      "engine = \"pkcs11\"\n"
      "key-type = \"ENG\"\n"
      "{}"
      "key = {}\n"
      "cert = {}\n",
      key.pin_file.empty() ? kPinComment : "", curl_word(key.uri), curl_word(certificate));
  ProgramSetup setup;
  setup.files = {{"curl.conf", options},
                 {"openssl.cnf", openssl_configuration(key)},
                 {key.name + ".crt", key.certificates}};
  setup.environment = environment_of(key);
  setup.commands = {shell_line({"curl", "--config", (key.folder / "curl.conf").string()}) +
                    " https://…/"};
  return setup;
}

ProgramSetup osslsigncode_setup(const UsedKey& key) {
  if (!key.module_init.empty()) {
    throw Error(Kind::unsupported,
                "configure osslsigncode: it cannot give a module an initialisation string")
        .hint("use the key through openssl: hsmith use KEY --for openssl");
  }
  ProgramSetup setup;
  setup.files = {{key.name + ".crt", key.certificates}};
  setup.environment = soft_hsm_environment();
  setup.commands = {
      shell_line({"osslsigncode", "sign", "-pkcs11engine", key.engine, "-pkcs11module", key.module,
                  "-certs", (key.folder / (key.name + ".crt")).string(), "-key", key.uri, "-h",
                  "sha256"}) +
      " -in FILE.exe -out FILE.signed.exe"};
  return setup;
}

}  // namespace hsmith::cli
