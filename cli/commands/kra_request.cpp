// hsmith kra request: request new with the profile of recovery agents.
#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace hsmith::cli {

void add_request_new(CLI::App& command, Context& context);

void add_kra_request(CLI::App& command, Context& context) {
  add_request_new(command, context);
  command.get_option("--profile")->default_val("kra")->check(CLI::IsMember({"kra"}));
  command.footer(
      "Examples:\n  hsmith kra request agent --key-type rsa:3072 --cn 'Recovery Agent 1' -o "
      "agent.csr\n"
      "  hsmith kra request agent --cn 'Recovery Agent 1' --o 'Example Ltd' -o agent.csr");
}

}  // namespace hsmith::cli
