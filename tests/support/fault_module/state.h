// What the module keeps in a process: its settings, its counters, the open sessions.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "tests/support/fault_module/script.h"

namespace hsmith::fault {

struct State {
  // Reads the environment and loads the real module; `problem` says what is wrong with them.
  State();

  // Counts one thing the rule looks at; true when the rule acts on it.
  bool acts(const Rule& rule);
  std::uint64_t count(const Rule& rule);
  std::uint64_t counted(const Rule& rule);
  std::uint64_t next_sequence();

  // Appends a line to the log, if there is one.
  void log(const std::string& line) const;

  // Reports a failed assertion to the log and to standard error, and ends the process with 99.
  [[noreturn]] void fail_assertion(const Rule& rule, const std::string& why) const;

  std::string problem;
  CK_FUNCTION_LIST* real = nullptr;
  std::vector<Rule> rules;

  // Held by every call into the real module, and alone by what ends its sessions: closing them
  // under a call that another thread is in crashes SoftHSM, which is no fault that a script asks
  // for.
  std::shared_mutex in_real_module;

  std::mutex mutex;  // for what follows
  std::map<CK_SESSION_HANDLE, CK_SLOT_ID> sessions;
  std::map<Function, std::string> last_answers;

 private:
  void load();
  void load_script(const std::string& script);
  void load_real_module(const char* path);
  void map_counters(const char* path);

  std::string log_path_;
  std::vector<std::uint64_t> own_counters_;
  std::uint64_t* counters_ = nullptr;  // [0]: all calls, then one for each rule
};

// The one of this process, made at the first use.
State& state();

}  // namespace hsmith::fault
