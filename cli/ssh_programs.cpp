#include <fmt/format.h>

#include "cli/programs.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Error cannot_be_told(const char* program, std::string_view text) {
  return Error(Kind::unsupported,
               fmt::format("write {} into a configuration of {}: it would not take it as it is",
                           quoted(text), program))
      .hint("use a folder with a plainer name");
}

// A name in double quotes, as ssh_config(5) and git-config(1) read it.
std::string quoted_word(std::string_view text) {
  std::string word = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') word += '\\';
    word += c;
  }
  return word + '"';
}

// ssh_config(5): in the name of an identity file %d and the like are expanded, %% is a %, and
// ${NAME} is a variable.
std::string ssh_file_name(const std::string& path) {
  if (path.find_first_of("\r\n") != std::string::npos || path.find("${") != std::string::npos)
    throw cannot_be_told("ssh", path);
  std::string name;
  for (const char c : path) name += c == '%' ? std::string("%%") : std::string(1, c);
  return quoted_word(name);
}

void check_module(const UsedKey& key, const char* program) {
  if (!key.module_init.empty()) {
    throw Error(Kind::unsupported,
                fmt::format("configure {}: OpenSSH cannot give a module an initialisation string",
                            program));
  }
  // ssh-agent(1), -P: a list of patterns.
  if (key.module.find_first_of("*?!,\r\n") != std::string::npos)
    throw cannot_be_told(program, key.module);
}

// The files and the environment that ssh and git share.
ProgramSetup common_setup(const UsedKey& key) {
  ProgramSetup setup;
  setup.files = {{key.name + ".pub", key.ssh_public_key + " " + key.name + "\n"}};
  setup.environment = soft_hsm_environment();
  if (!key.pin_file.empty()) {
    setup.files.push_back({"askpass", askpass_program(key.pin_file), true});
    setup.environment.emplace_back("SSH_ASKPASS", key.folder / "askpass");
    setup.environment.emplace_back("SSH_ASKPASS_REQUIRE", "force");
  }
  return setup;
}

}  // namespace

std::string askpass_program(const std::string& pin_file) {
  // A server's own questions begin with "(user@host)" or "user@host"; they get no answer.
  return fmt::format(
      "#!/bin/sh\n"
      "# Answers OpenSSH when it asks for the PIN of a token, and no other question.\n"
      "case \"$1\" in\n"
      "  \"Enter PIN for \"*|\"Enter passphrase for PKCS#11:\"*) exec cat -- {} ;;\n"
      "esac\n"
      "exit 1\n",
      exact_shell_word(pin_file));
}

ProgramSetup ssh_setup(const UsedKey& key) {
  check_module(key, "ssh");
  ProgramSetup setup = common_setup(key);
  const std::string public_file = (key.folder / (key.name + ".pub")).string();
  setup.files.push_back(
      {"ssh_config", fmt::format("# Of all keys on the token this one, and no other.\n"
                                 "PKCS11Provider {}\n"
                                 "IdentityFile {}\n"
                                 "IdentitiesOnly yes\n",
                                 quoted_word(key.module), ssh_file_name(public_file))});
  setup.commands = {"ssh-copy-id -f -i " + shell_word(public_file) + " USER@HOST",
                    shell_line({"ssh", "-F", (key.folder / "ssh_config").string()}) + " USER@HOST"};
  return setup;
}

ProgramSetup git_setup(const UsedKey& key) {
  check_module(key, "git");
  const auto at = [&](const std::string& name) {
    const std::string path = (key.folder / name).string();
    if (path.find_first_of("\r\n") != std::string::npos) throw cannot_be_told("git", path);
    return quoted_word(path);
  };
  ProgramSetup setup = common_setup(key);
  setup.files.push_back(
      {"allowed_signers", fmt::format("{} namespaces=\"git\" {}\n", key.name, key.ssh_public_key)});
  setup.files.push_back({"gitconfig", fmt::format("[gpg]\n"
                                                  "  format = ssh\n"
                                                  "[gpg \"ssh\"]\n"
                                                  "  allowedSignersFile = {}\n"
                                                  "[user]\n"
                                                  "  signingKey = {}\n"
                                                  "[commit]\n"
                                                  "  gpgSign = true\n"
                                                  "[tag]\n"
                                                  "  gpgSign = true\n",
                                                  at("allowed_signers"), at(key.name + ".pub"))});
  setup.commands = {
      fmt::format("eval \"$(ssh-agent -P {})\"", shell_word(key.module)),
      shell_line({"ssh-add", "-s", key.module}),
      shell_line({"git", "config", "include.path", (key.folder / "gitconfig").string()}),
      "git commit -m MESSAGE", "git log --show-signature -1"};
  return setup;
}

}  // namespace hsmith::cli
