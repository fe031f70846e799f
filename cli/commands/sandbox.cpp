// hsmith sandbox: a private SoftHSM token for the time of one command.
#include "cli/sandbox.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::optional<std::string> keep;
};

void refuse_other_tokens(const GlobalOptions& options) {
  if (options.module || options.module_init || options.token || options.slot ||
      options.pin_source || options.so_pin_source || options.state) {
    throw Error(Kind::usage, "sandbox: it has a module, a token, PINs and a state of its own")
        .hint(
            "options that stand behind COMMAND are the command's: hsmith sandbox hsmith key list "
            "--token sandbox");
  }
  if (options.json) {
    throw Error(Kind::usage, "sandbox: standard output is the command's, there is no JSON of it")
        .hint("put --json behind the command: hsmith sandbox hsmith key list --json");
  }
}

Outcome run(const Options& options, Context& context) {
  refuse_other_tokens(context.options);
  std::vector<std::string> command = context.trailing;
  if (command.empty()) command = {variable("SHELL").value_or("/bin/sh")};
  const Sandbox sandbox(options.keep);
  const bool quiet = context.options.quiet;
  if (context.trailing.empty() && isatty(STDIN_FILENO) != 0 && !quiet) {
    fmt::print(stderr, "hsmith: a shell with the token \"sandbox\"; \"exit\" ends it\n");
  }
  Outcome outcome;
  outcome.exit = sandbox.run(command);
  if (options.keep && !quiet) {
    fmt::print(stderr, "hsmith: the sandbox is kept; to use it: . {}\n",
               shell_word(sandbox.environment_file().string()));
  }
  return outcome;
}

}  // namespace

void add_sandbox(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--keep", options->keep, "Keep it in this folder, which must be new or empty");
  command.footer(
      "Behind the options: [--] COMMAND and its arguments; without one, a shell. Its exit status "
      "is\n"
      "passed on; 125: the sandbox itself failed, 126: COMMAND cannot be run, 127: it was not "
      "found.\n"
      "Examples:\n  hsmith sandbox hsmith key generate web --type ec:p256\n"
      "  hsmith sandbox --keep ~/try -- hsmith token list --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
