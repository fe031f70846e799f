// The list of commands. Each is in commands/<noun>_<verb>.cpp.
#pragma once

#include <span>

#include "cli/context.h"

namespace CLI {
class App;
}

namespace hsmith::cli {

struct Command {
  const char* noun;
  const char* verb;  // nullptr: the noun is the command
  const char* about;
  // Declares options and examples, and sets context.run when the command is chosen.
  void (*add)(CLI::App& command, Context& context);
};

struct Noun {
  const char* name;
  const char* about;
};

std::span<const Command> commands();
std::span<const Noun> nouns();

void add_cert_delete(CLI::App& command, Context& context);
void add_cert_export(CLI::App& command, Context& context);
void add_cert_install(CLI::App& command, Context& context);
void add_cert_list(CLI::App& command, Context& context);
void add_cert_match(CLI::App& command, Context& context);
void add_cert_retire(CLI::App& command, Context& context);
void add_cert_show(CLI::App& command, Context& context);
void add_cert_verify(CLI::App& command, Context& context);
void add_completion(CLI::App& command, Context& context);
void add_doctor(CLI::App& command, Context& context);
void add_key_delete(CLI::App& command, Context& context);
void add_key_generate(CLI::App& command, Context& context);
void add_key_list(CLI::App& command, Context& context);
void add_key_public(CLI::App& command, Context& context);
void add_key_rename(CLI::App& command, Context& context);
void add_key_show(CLI::App& command, Context& context);
void add_log_checkpoint(CLI::App& command, Context& context);
void add_log_show(CLI::App& command, Context& context);
void add_log_verify(CLI::App& command, Context& context);
void add_pfx_check(CLI::App& command, Context& context);
void add_pfx_merge(CLI::App& command, Context& context);
void add_pfx_show(CLI::App& command, Context& context);
void add_quickstart(CLI::App& command, Context& context);
void add_renew(CLI::App& command, Context& context);
void add_request_cancel(CLI::App& command, Context& context);
void add_request_check(CLI::App& command, Context& context);
void add_request_complete(CLI::App& command, Context& context);
void add_request_list(CLI::App& command, Context& context);
void add_request_new(CLI::App& command, Context& context);
void add_request_show(CLI::App& command, Context& context);
void add_sandbox(CLI::App& command, Context& context);
void add_sign(CLI::App& command, Context& context);
void add_token_info(CLI::App& command, Context& context);
void add_token_init(CLI::App& command, Context& context);
void add_token_list(CLI::App& command, Context& context);
void add_token_pin(CLI::App& command, Context& context);
void add_use(CLI::App& command, Context& context);
void add_verify(CLI::App& command, Context& context);

}  // namespace hsmith::cli
