// hsmith quickstart: the main job from end to end, on a token made for it.
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/sandbox.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/interop.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

struct Step {
  const char* about;
  std::vector<std::string> command;
};

const std::vector<Step>& steps() {
  static const std::vector<Step> kSteps = {
      {"A key pair, made on the token; the private key cannot leave it.",
       {"hsmith", "key", "generate", "web", "--type", "ec:p256"}},
      {"A certificate request, signed by that key.",
       {"hsmith", "request", "new", "web", "--profile", "server", "--cn", "www.example.org",
        "--san", "dns:www.example.org", "-o", "web.csr"}},
      {"OpenSSL verifies the request.",
       {"openssl", "req", "-in", "web.csr", "-verify", "-noout", "-subject"}},
      {"A certificate authority, here made with OpenSSL, ...",
       {"openssl",
        "req",
        "-config",
        "/dev/null",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "ca.key",
        "-subj",
        "/CN=Quickstart CA",
        "-days",
        "2",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-out",
        "ca.crt"}},
      {"... issues the certificate.",
       {"openssl", "x509", "-req", "-in", "web.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days",
        "2", "-copy_extensions", "copy", "-out", "web.crt"}},
      {"The certificate goes to its key on the token.",
       {"hsmith", "request", "complete", "web.crt", "--chain", "ca.crt", "--trust", "ca.crt"}},
      {"Certificate and private key belong together: the key proves it.",
       {"hsmith", "cert", "match", "web.crt", "web"}},
      {"The key signs a file, ...", {"hsmith", "sign", "--key", "web", "release.txt"}},
      {"... the signature is verified with the certificate, ...",
       {"hsmith", "verify", "--cert", "web.crt", "release.txt.sig", "release.txt"}},
      {"... and by OpenSSL with the public key.",
       {"hsmith", "key", "public", "web", "-o", "web.pub"}},
      {"",
       {"openssl", "dgst", "-sha256", "-verify", "web.pub", "-signature", "release.txt.sig",
        "release.txt"}},
      {"What is on the token now.", {"hsmith", "key", "list"}},
      {"Other programs reach the key through OpenSSL's pkcs11 engine: tried, and how to set it up.",
       {"hsmith", "use", "web", "--for", "openssl", "--pin-file", "../pin", "--test"}},
  };
  return kSteps;
}

bool has_engine() {
  try {
    return !tokens::pkcs11_engine().empty();
  } catch (const Error&) {
    return false;
  }
}

void require_openssl() {
  for (const std::string& folder : split(variable("PATH").value_or("/usr/bin:/bin"), ':')) {
    if (access((fs::path(folder) / "openssl").c_str(), X_OK) == 0) return;
  }
  throw Error(Kind::unsupported, "quickstart: the openssl program is not installed")
      .hint("apt install openssl");
}

// Runs one step, shown to a person before, or with its output kept for the JSON.
int perform(const Step& step, const Sandbox& sandbox, const fs::path& folder, bool json,
            Json& steps_done) {
  const std::string line = shell_line(step.command);
  std::vector<std::string> command = step.command;
  // This very program, whatever is installed.
  if (command.front() == "hsmith") command.front() = fs::read_symlink("/proc/self/exe");
  if (!json) {
    fmt::print("{}{}{}$ {}\n", *step.about == '\0' ? "" : "\n# ", step.about,
               *step.about == '\0' ? "" : "\n", line);
    std::fflush(stdout);
    return sandbox.run(command, {folder, ""});
  }
  const fs::path output = sandbox.folder() / "output";
  const int status = sandbox.run(command, {folder, output});
  const Bytes printed = fs::exists(output) ? read_file(output) : Bytes();
  steps_done.push_back({{"about", step.about},
                        {"command", line},
                        {"exit", status},
                        {"output", json_text(as_text(printed))}});
  return status;
}

Outcome run(Context& context) {
  require_openssl();
  const Sandbox sandbox(std::nullopt);
  const fs::path folder = sandbox.folder() / "work";
  make_private_folder(folder);
  write_file(folder / "release.txt", as_bytes("version 1.0\n"), kPublicFile, Replace::no);
  Outcome outcome;
  outcome.data["steps"] = Json::array();
  for (const Step& step : steps()) {
    if (step.command[1] == "use" && !has_engine()) {
      context.warn("left out, because libengine-pkcs11-openssl is not installed: " +
                   shell_line(step.command));
      continue;
    }
    outcome.exit = perform(step, sandbox, folder, context.options.json, outcome.data["steps"]);
    if (outcome.exit == 0) continue;
    fmt::print(stderr, "hsmith: quickstart: {} gave exit status {}\n", shell_line(step.command),
               outcome.exit);
    return outcome;
  }
  outcome.data["next"] = "hsmith token list";
  outcome.text =
      "\nAll of it was done and checked, and the token with its key is gone again. "
      "For a token of your own, begin with: hsmith token list\n";
  return outcome;
}

}  // namespace

void add_quickstart(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith quickstart\n  hsmith quickstart --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
