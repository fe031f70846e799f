#include "tests/support/fault_module/state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace hsmith::fault {
namespace {

constexpr std::size_t kMaximumRules = 255;
constexpr int kAssertionStatus = 99;

constexpr std::string_view kVariables[] = {
    "HSMITH_FAULT_REAL",    "HSMITH_FAULT_SCRIPT", "HSMITH_FAULT_LOG",
    "HSMITH_FAULT_COUNTER", "HSMITH_FAULT_MODULE",
};

// A misspelt variable would switch the faults off without a word.
void refuse_unknown_variables() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable(*entry, std::strcspn(*entry, "="));
    if (!variable.starts_with("HSMITH_FAULT_")) continue;
    bool known = false;
    for (const std::string_view name : kVariables) known = known || name == variable;
    if (!known) throw std::invalid_argument("unknown variable " + std::string(variable));
  }
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

State& state() {
  static State state;
  return state;
}

State::State() {
  try {
    load();
  } catch (const std::exception& error) {
    problem = error.what();
  }
}

void State::load() {
  refuse_unknown_variables();
  log_path_ = variable("HSMITH_FAULT_LOG");
  load_script(variable("HSMITH_FAULT_SCRIPT"));
  map_counters(variable("HSMITH_FAULT_COUNTER"));
  load_real_module(variable("HSMITH_FAULT_REAL"));
}

void State::load_script(const std::string& script) {
  constexpr std::string_view kInline = "inline:";
  if (script.empty()) return;
  if (script.starts_with(kInline)) {
    rules = parse_script(script.substr(kInline.size()), "\n;");
  } else {
    std::ifstream file(script);
    if (!file) throw std::invalid_argument("cannot read the script " + script);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    rules = parse_script(text, "\n");
  }
  if (rules.size() > kMaximumRules) throw std::invalid_argument("more than 255 rules");
}

void State::map_counters(const char* path) {
  const std::size_t size = (kMaximumRules + 1) * sizeof(std::uint64_t);
  own_counters_.resize(kMaximumRules + 1);
  counters_ = own_counters_.data();
  if (*path == '\0') return;
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (file >= 0 && ftruncate(file, static_cast<off_t>(size)) == 0) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  if (file >= 0) close(file);
  if (memory == MAP_FAILED) throw std::invalid_argument(std::string("cannot map ") + path);
  counters_ = static_cast<std::uint64_t*>(memory);
}

void State::load_real_module(const char* path) {
  if (*path == '\0') throw std::invalid_argument("HSMITH_FAULT_REAL names no module");
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::invalid_argument(dlerror());
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != CKR_OK) {
    throw std::invalid_argument(std::string(path) + " is not a PKCS#11 module");
  }
}

std::uint64_t State::count(const Rule& rule) {
  const auto index = static_cast<std::size_t>(&rule - rules.data());
  return ++std::atomic_ref<std::uint64_t>(counters_[index + 1]);
}

std::uint64_t State::counted(const Rule& rule) {
  const auto index = static_cast<std::size_t>(&rule - rules.data());
  return std::atomic_ref<std::uint64_t>(counters_[index + 1]);
}

bool State::acts(const Rule& rule) { return rule.when.includes(count(rule)); }

std::uint64_t State::next_sequence() { return ++std::atomic_ref<std::uint64_t>(counters_[0]); }

// Opened for each line: the program under test may close every descriptor it does not know.
void State::log(const std::string& line) const {
  if (log_path_.empty()) return;
  const int file = open(log_path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string ended = line + "\n";
  if (file < 0 || write(file, ended.data(), ended.size()) < 0) {
    std::fprintf(stderr, "hsmith_fault_module: cannot write %s\n", log_path_.c_str());
    _exit(kAssertionStatus);
  }
  close(file);
}

void State::fail_assertion(const Rule& rule, const std::string& why) const {
  const std::string line =
      "ASSERTION FAILED: line " + std::to_string(rule.line) + ": " + rule.text + ": " + why;
  std::fprintf(stderr, "hsmith_fault_module: %s\n", line.c_str());
  log(line);
  _exit(kAssertionStatus);
}

}  // namespace hsmith::fault
