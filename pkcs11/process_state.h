// What a library must not change in the process that loads it.
#pragma once

#include <array>
#include <csignal>
#include <string>
#include <sys/types.h>
#include <utility>

#include "src/base/files.h"

namespace hsmith::pkcs11 {

// Remembers working folder, umask, locale and the handlers of signals, and puts them back.
class ProcessState {
 public:
  ProcessState();
  ~ProcessState();
  ProcessState(const ProcessState&) = delete;
  ProcessState& operator=(const ProcessState&) = delete;

 private:
  static constexpr std::array kSignals{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD};

  Descriptor folder_;
  mode_t mask_;
  std::string locale_;
  std::array<struct sigaction, kSignals.size()> handlers_{};
};

// While it lives, what is printed on standard output goes to standard error: a module that prints
// must not spoil an answer in JSON.
class OutputToErrors {
 public:
  OutputToErrors();
  ~OutputToErrors();
  OutputToErrors(const OutputToErrors&) = delete;
  OutputToErrors& operator=(const OutputToErrors&) = delete;

 private:
  Descriptor output_;
};

}  // namespace hsmith::pkcs11
