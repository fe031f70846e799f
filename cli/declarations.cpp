#include "cli/declarations.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/commands.h"

namespace hsmith::cli {

void add_global_options(CLI::App& app, GlobalOptions& o) {
  app.add_option("--module", o.module, "PKCS#11 library: a path, or a name that p11-kit knows");
  app.add_option("--module-init", o.module_init, "Initialisation string of the module");
  app.add_option("--token", o.token, "Token: its label, serial:…, or a PKCS#11 URI");
  app.add_option("--slot", o.slot, "Slot id (these move between runs; better use --token)");
  app.add_option("--pin-source", o.pin_source,
                 "env:NAME, file:PATH, fd:N, cmd:COMMAND, prompt, pinpad");
  app.add_option("--so-pin-source", o.so_pin_source, "The same for the security officer's PIN");
  app.add_option("--config", o.config, "Configuration file (TOML)");
  app.add_option("--state", o.state, "Folder for pending requests, journal and logs");
  app.add_option("--trace", o.trace, "Append every PKCS#11 call to this file, PINs masked");
  app.add_flag("--json", o.json, "One JSON object on standard output; never a prompt");
  app.add_flag("--batch", o.batch, "Never ask");
  app.add_flag("--yes", o.yes, "Consent to what would be confirmed");
  app.add_flag("--plan", o.plan, "Check everything, list what would change, change nothing");
  app.add_flag("--force", o.force, "Replace an existing output file");
  app.add_flag("--use-last-try", o.use_last_try, "Send a PIN although it is the last try");
  app.add_flag("--retry-pin", o.retry_pin, "Send a PIN although the last one was refused");
  app.add_flag("-q,--quiet", o.quiet, "Less on standard error");
  app.add_flag("-v,--verbose", o.verbose, "More on standard error");
  for (CLI::Option* option : app.get_options()) option->group("Global options");
}

bool takes_next_word(const CLI::App& app, const std::string& word) {
  const CLI::Option* option = word.starts_with("-") ? app.get_option_no_throw(word) : nullptr;
  return option != nullptr && option->get_expected_min() > 0;
}

Named named_command(const CLI::App& app, std::vector<std::string> words) {
  Named named;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (takes_next_word(app, words[i])) words[++i].clear();  // a token may be called "key"
  }
  const auto is_noun = [](const std::string& word) {
    return std::any_of(nouns().begin(), nouns().end(),
                       [&](const Noun& n) { return word == n.name; });
  };
  const auto noun = std::find_if(words.begin(), words.end(), is_noun);
  if (noun == words.end()) return named;
  named.noun = *noun;
  named.noun_at = static_cast<int>(noun - words.begin()) + 1;
  const auto is_verb = [&](const std::string& word) {
    return std::any_of(commands().begin(), commands().end(), [&](const Command& c) {
      return named.noun == c.noun && c.verb != nullptr && word == c.verb;
    });
  };
  const auto verb = std::find_if(noun + 1, words.end(), is_verb);
  if (verb != words.end()) named.verb = *verb;
  return named;
}

namespace {

// The first example of a command's help.
std::string first_example(const CLI::App& command) {
  const std::string footer = command.get_footer();
  const std::size_t begin = footer.find("\n  hsmith ");
  if (begin == std::string::npos) return "";
  return footer.substr(begin, footer.find("\n  hsmith ", begin + 1) - begin);
}

// What ends the help of a group: an example of each of its first two commands.
void add_group_footer(CLI::App& group) {
  std::string examples;
  for (const CLI::App* verb : group.get_subcommands([](const CLI::App*) { return true; })) {
    if (std::count(examples.begin(), examples.end(), '\n') < 2) examples += first_example(*verb);
  }
  group.footer("Examples:" + examples);
}

}  // namespace

void add_commands(CLI::App& app, Context& context, const Named& named) {
  for (const Noun& noun : nouns()) {
    if (!named.noun.empty() && named.noun != noun.name) continue;
    CLI::App* group = app.add_subcommand(noun.name, noun.about);
    if (named.noun.empty()) continue;
    bool has_verbs = false;
    for (const Command& command : commands()) {
      if (named.noun != command.noun) continue;
      if (command.verb == nullptr) {
        Arguments arguments(group);
        command.add(arguments, context);
        continue;
      }
      has_verbs = true;
      CLI::App* verb = group->add_subcommand(command.verb, command.about);
      if (!named.verb.empty() && named.verb != command.verb) continue;
      Arguments arguments(verb);
      command.add(arguments, context);
    }
    if (!has_verbs) continue;
    group->require_subcommand(1);
    if (named.verb.empty()) add_group_footer(*group);
  }
  app.require_subcommand(1);
}

}  // namespace hsmith::cli
