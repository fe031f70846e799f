// hsmith archive rekey export|wrap|apply: new agents without opening an archived key.

#include "cli/commands.h"

namespace hsmith::cli {

void add_archive_rekey_export(Arguments& command, Context& context);
void add_archive_rekey_wrap(Arguments& command, Context& context);
void add_archive_rekey_check(Arguments& command, Context& context);
void add_archive_rekey_apply(Arguments& command, Context& context);

void add_archive_rekey(Arguments& command, Context& context) {
  const auto add = [&](const char* name, const char* about, auto declare) {
    Arguments verb = command.add_verb(name, about);
    declare(verb, context);
  };
  add("export", "Give out the encrypted content keys, as an officer", add_archive_rekey_export);
  add("wrap", "Encrypt them to new agents, with an agent's card", add_archive_rekey_wrap);
  add("check", "Try them out, with a new agent's card", add_archive_rekey_check);
  add("apply", "Put them into the archive", add_archive_rekey_apply);
  command.footer(
      "Examples:\n  hsmith archive rekey export --from 1b4ab7c0d1e2f304 --officer officer -o "
      "out.rekey\n"
      "  hsmith archive rekey wrap out.rekey --to agent3.crt --officer-cert officer.crt -o "
      "back.rekey");
}

}  // namespace hsmith::cli
