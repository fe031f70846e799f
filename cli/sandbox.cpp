#include "cli/sandbox.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/error.h"
#include "pkcs11/session.h"
#include "src/base/environment.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/child_process.h"
#include "tokens/configured_modules.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLabel = "sandbox";
constexpr int kEndingSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
constexpr int kCannotBeRun = 126;
constexpr int kNotFound = 127;

std::string soft_hsm() {
  for (const tokens::ConfiguredModule& module : tokens::configured_modules()) {
    if (module.name == "softhsm2" && fs::exists(module.path)) return module.path;
  }
  for (const char* path : {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
                           "/usr/lib64/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"}) {
    if (fs::exists(path)) return path;
  }
  throw Error(Kind::module_load, "make a sandbox: SoftHSM is not installed")
      .hint("apt install softhsm2");
}

Secret random_pin() {
  unsigned char random[8];
  if (getentropy(random, sizeof random) != 0) {
    throw Error(Kind::internal, fmt::format("make a PIN: {}", std::strerror(errno)));
  }
  Secret pin = Secret::take(hex(random));
  wipe(random, sizeof random);
  return pin;
}

fs::path new_temporary_folder() {
  const fs::path parent = fs::absolute(variable("TMPDIR").value_or("/tmp"));
  std::string name = parent / "hsmith-sandbox-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    throw Error(Kind::io, fmt::format("make a folder in {}: {}", quoted(parent.string()),
                                      std::strerror(errno)))
        .hint("set TMPDIR to a folder that you may write to");
  }
  return name;
}

fs::path new_kept_folder(const fs::path& keep) {
  const fs::path folder = fs::absolute(keep);
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_empty(folder, ignored)) {
    throw Error(Kind::exists,
                fmt::format("keep the sandbox in {}: it is not empty", quoted(folder.string())))
        .hint("name a folder that does not exist yet");
  }
  make_private_folder(folder);
  if (chmod(folder.c_str(), 0700) != 0) {
    throw Error(Kind::io, fmt::format("keep the sandbox in {}: {}", quoted(folder.string()),
                                      std::strerror(errno)));
  }
  return folder;
}

void write_private(const fs::path& file, ByteView content) {
  write_file(file, content, kPrivateFile, Replace::no);
}

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kEndingSignals) sigaddset(&set, number);
  return set;
}

void drop_settings_of_others() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (name.starts_with("HSMITH_") || name.starts_with("PKCS11_") || name == "SOFTHSM2_CONF" ||
        name == "OPENSSL_CONF") {
      names.emplace_back(name);
    }
  }
  for (const std::string& name : names) unsetenv(name.c_str());
}

// hsmith is found from a build folder too.
void put_hsmith_in_path() {
  const std::string path = variable("PATH").value_or("/usr/bin:/bin");
  for (const std::string& folder : split(path, ':')) {
    if (access((fs::path(folder) / "hsmith").c_str(), X_OK) == 0) return;
  }
  std::error_code ignored;
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored);
  if (!self.empty()) setenv("PATH", (self.parent_path().string() + ':' + path).c_str(), 1);
}

}  // namespace

Sandbox::Sandbox(const std::optional<fs::path>& keep)
    : kept_(keep.has_value()), module_(soft_hsm()), pin_(random_pin()), so_pin_(random_pin()) {
  sigset_t held = ending_signals();
  sigaddset(&held, SIGCHLD);
  signal(SIGCHLD, SIG_DFL);
  sigprocmask(SIG_BLOCK, &held, &mask_before_);
  try {
    folder_ = keep ? new_kept_folder(*keep) : new_temporary_folder();
    fill();
  } catch (...) {
    remove();
    sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    throw;
  }
}

Sandbox::~Sandbox() {
  if (!kept_) remove();
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

void Sandbox::fill() {
  for (const char* name : {"tokens", "state", "config", "data", "cache", "runtime"}) {
    make_private_folder(folder_ / name);
  }
  write_private(pin_file(), pin_.reveal());
  write_private(folder_ / "so-pin", so_pin_.reveal());
  write_private(folder_ / "softhsm2.conf",
                as_bytes(fmt::format("directories.tokendir = {}\nobjectstore.backend = file\n"
                                     "log.level = ERROR\n",
                                     (folder_ / "tokens").string())));
  std::string lines = "unset OPENSSL_CONF\n";
  for (const auto& [name, value] : settings()) {
    lines += fmt::format("export {}={}\n", name, exact_shell_word(value));
  }
  lines += fmt::format("HSMITH_PIN=$(cat {})\nexport HSMITH_PIN\n",
                       exact_shell_word(pin_file().string()));
  write_private(environment_file(), as_bytes(lines));
  make_token();
}

// In a child, because the environment names the token's folder, and a process that has a module
// loaded must not fork a command.
void Sandbox::make_token() const {
  tokens::run_in_child("make a token with SoftHSM", std::chrono::seconds(20), [this] {
    setenv("SOFTHSM2_CONF", (folder_ / "softhsm2.conf").c_str(), 1);
    const auto module = pkcs11::Module::load({module_, "", nullptr});
    if (module->info().manufacturer != "SoftHSM") {
      throw Error(Kind::module_load,
                  fmt::format("make a sandbox: {} is not SoftHSM", quoted(module_)));
    }
    const CK_SLOT_ID slot = module->slots(CK_TRUE).at(0);
    module->init_token(slot, so_pin_.reveal(), kLabel);
    const auto session = pkcs11::Session::open(module, slot, pkcs11::Access::read_write);
    pkcs11::check(session->login(CKU_SO, so_pin_.reveal()), "C_Login");
    session->init_pin(pin_.reveal());
    session->logout();
    pkcs11::check(session->login(CKU_USER, pin_.reveal()), "C_Login");
    return std::string();
  });
}

// All but HSMITH_PIN, which stands in no file of settings.
Sandbox::Settings Sandbox::settings() const {
  return {{"SOFTHSM2_CONF", folder_ / "softhsm2.conf"},
          {"HSMITH_MODULE", module_},
          {"HSMITH_TOKEN", kLabel},
          {"HSMITH_SO_PIN_SOURCE", "file:" + (folder_ / "so-pin").string()},
          {"HSMITH_STATE", folder_ / "state"},
          {"XDG_CONFIG_HOME", folder_ / "config"},
          {"XDG_STATE_HOME", folder_ / "state"},
          {"XDG_DATA_HOME", folder_ / "data"},
          {"XDG_CACHE_HOME", folder_ / "cache"},
          {"XDG_RUNTIME_DIR", folder_ / "runtime"}};
}

// A folder that the user named stays, empty.
void Sandbox::remove() const noexcept {
  std::error_code ignored;
  if (!kept_) {
    fs::remove_all(folder_, ignored);
  } else {
    for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
      fs::remove_all(entry.path(), ignored);
    }
  }
}

int Sandbox::run(const std::vector<std::string>& command, const Surroundings& where) const {
  const sigset_t ending = ending_signals();
  constexpr timespec kNow{};
  const int pending = sigtimedwait(&ending, nullptr, &kNow);
  if (pending > 0) return 128 + pending;
  const pid_t child = fork();
  if (child < 0) {
    throw Error(Kind::io, fmt::format("run {}: {}", quoted(command.front()), std::strerror(errno)));
  }
  if (child == 0) be_the_command(command, where);
  return wait_for(child);
}

void Sandbox::be_the_command(const std::vector<std::string>& command,
                             const Surroundings& where) const {
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  signal(SIGPIPE, SIG_DFL);  // which hsmith ignores
  drop_settings_of_others();
  for (const auto& [name, value] : settings()) setenv(name.c_str(), value.c_str(), 1);
  setenv("HSMITH_PIN", std::string(as_text(pin_.reveal())).c_str(), 1);
  put_hsmith_in_path();
  const bool moved = where.folder.empty() || chdir(where.folder.c_str()) == 0;
  const int output = where.output.empty() ? STDOUT_FILENO
                                          : open(where.output.c_str(),
                                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (moved && output >= 0 && dup2(output, STDOUT_FILENO) >= 0) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execvp(words.front(), words.data());
  }
  const int error = errno;
  fmt::print(stderr, "hsmith: run {}: {}\n", quoted(command.front()), std::strerror(error));
  std::fflush(stderr);
  _exit(error == ENOENT ? kNotFound : kCannotBeRun);
}

int Sandbox::wait_for(pid_t child) const {
  sigset_t awaited = ending_signals();
  sigaddset(&awaited, SIGCHLD);
  for (;;) {
    siginfo_t received{};
    const int number = sigwaitinfo(&awaited, &received);
    if (number == SIGCHLD) {
      int status = 0;
      if (waitpid(child, &status, WNOHANG) != child) continue;
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    // What the terminal sends reaches the command as well, what kill(1) sends does not.
    if (number > 0 && received.si_code <= 0) kill(child, number);
  }
}

}  // namespace hsmith::cli
