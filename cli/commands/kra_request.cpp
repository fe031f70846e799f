// hsmith kra request: request new with the profile of recovery agents.

#include "cli/commands.h"

namespace hsmith::cli {

void add_request_new(Arguments& command, Context& context);

void add_kra_request(Arguments& command, Context& context) {
  add_request_new(command, context);
  command.option("--profile").preset("kra").one_of({"kra"});
  command.footer(
      "Examples:\n  hsmith kra request agent --key-type rsa:3072 --cn 'Recovery Agent 1' -o "
      "agent.csr\n"
      "  hsmith kra request agent --cn 'Recovery Agent 1' --o 'Example Ltd' -o agent.csr");
}

}  // namespace hsmith::cli
