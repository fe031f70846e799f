// The program: arguments in, exit status out.
#pragma once

namespace hsmith::cli {

// Runs one command. Never throws; the exit status is that of the contract.
int run_app(int argc, char** argv);

}  // namespace hsmith::cli
