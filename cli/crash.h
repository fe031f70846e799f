// A module that crashes, or ends the process: what the user is told then.
#pragma once

#include <string>

namespace hsmith::cli {

// From here on a death by SIGSEGV, SIGABRT and their like, and an exit(3) from within a module, is
// the error `text` and exit status `exit`; `json` goes to what is standard output now, unless it is
// empty. Nothing else may run then: what was begun stays in the journal. Not for child processes.
void report_crashes(std::string text, std::string json, int exit);

// The result stands: to exit is no crash any more.
void stop_reporting_crashes();

}  // namespace hsmith::cli
