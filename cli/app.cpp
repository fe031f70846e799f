#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "cli/crash.h"
#include "cli/declarations.h"
#include "cli/run_files.h"
#include "src/base/error.h"
#include "src/base/sqlite.h"
#include "src/base/text.h"
#include "tokens/quirks.h"

namespace hsmith::cli {
namespace {

// A standard stream that is closed would become the next file that is opened, and that file get
// what is printed. In its place comes one that cannot be used.
void fill_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) _exit(1);
  }
}

// No core dump and no debugger: a PIN is in memory from now on.
void harden() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
}

std::string version_text() {
  return fmt::format("hsmith {}\n{}\nSQLite {}\np11-kit {} (PKCS#11 interface and configuration)\n",
                     HSMITH_VERSION, OpenSSL_version(OPENSSL_VERSION),
                     sqlite_version().value_or("not installed"), HSMITH_P11_KIT_VERSION);
}

// How many arguments are ours: options behind the COMMAND of sandbox belong to COMMAND.
int count_own(const CLI::App& app, const Named& named, int argc, char** argv) {
  if (named.noun != "sandbox") return argc;
  const CLI::App& sandbox = *app.get_subcommand("sandbox");
  int i = named.noun_at + 1;
  for (; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("-") || word == "--") break;
    if (takes_next_word(app, word) || takes_next_word(sandbox, word)) ++i;
  }
  return std::min(i, argc);
}

std::vector<std::string> known_words(const Named& named) {
  std::vector<std::string> words;
  if (named.noun.empty()) {
    for (const Noun& noun : nouns()) words.emplace_back(noun.name);
  }
  for (const Command& command : commands()) {
    if (named.noun == command.noun && command.verb != nullptr) words.emplace_back(command.verb);
  }
  return words;
}

std::vector<std::string> known_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

std::string help_command(const CLI::App& app) {
  std::string path;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    path.insert(0, level->get_name() + " ");
  }
  return path + "--help";
}

std::string verbs_of(const CLI::App& noun) {
  std::string verbs;
  for (const CLI::App* verb : noun.get_subcommands([](const CLI::App*) { return true; }))
    verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  return verbs;
}

std::string without_dashes(const std::string& option) {
  return option.substr(std::min(option.find_first_not_of('-'), option.size()));
}

// The option whose name is nearest to a word that is none. The dashes, which all have, are no
// likeness.
std::optional<std::string> nearest_option(const CLI::App& chosen, const std::string& word) {
  std::vector<std::string> names;
  for (const std::string& name : known_options(chosen)) names.push_back(without_dashes(name));
  const auto near = did_you_mean(without_dashes(word), names);
  return near ? std::optional("--" + *near) : std::nullopt;
}

// True when the option of this name, of the command that is chosen, wants a value.
bool wants_value(const CLI::App& app, const std::string& word) {
  if (takes_next_word(app, word)) return true;
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(below.begin(), below.end(),
                     [&](const CLI::App* verb) { return wants_value(*verb, word); });
}

// An option that stands where the value of the one before it should be was not meant as a value,
// nor is the word behind "--host=" one.
void check_values(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string option = argv[i];
    const std::string name = option.substr(0, option.size() - 1);
    if (option.ends_with('=') && wants_value(app, name))
      throw Error(Kind::usage, name + ": its value is empty")
          .hint(name == "--erase" ? "an empty label is given as: --erase ''"
                                  : "give it a value, or leave it out");
    if (!wants_value(app, option)) continue;
    if (++i == argc || std::string_view(argv[i]).starts_with("--")) {
      throw Error(Kind::usage, fmt::format("{}: its value is missing", option))
          .hint(i == argc
                    ? ""
                    : fmt::format("a value that begins with -- is given as {}=VALUE", option));
    }
  }
}

// An empty value is a variable of a script that is not set: what it was to demand would not be
// demanded. Two take one: the label of a token may be empty, and the word that is completed.
void refuse_empty_values(const CLI::App& app) {
  for (const CLI::App* level = &innermost(app); level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      const std::string& name = option->get_single_name();
      if (name == "erase" || name == "WORD" || option->get_expected_min() == 0) continue;
      for (const std::string& value : option->results()) {
        if (value.empty()) {
          throw Error(Kind::usage, option->get_name() + ": its value is empty")
              .hint("give it a value, or leave it out");
        }
      }
    }
  }
}

// "renew: say --same-key or --new-key" for CLI11's "Exactly 1 option from [--same-key,--new-key] is
// required"; nothing for other messages.
std::optional<std::string> choice_to_make(const std::string& message, const Context& context) {
  const auto begin = message.find('['), end = message.find(']');
  if (!message.starts_with("Exactly 1 option from") || end == std::string::npos) return {};
  const auto names = split(message.substr(begin + 1, end - begin - 1), ',');
  return fmt::format("{}: say {}", context.command, fmt::join(names, " or "));
}

// CLI11's words for wrong arguments, as one of our errors with the nearest right word.
Error usage_error(const CLI::ParseError& error, const CLI::App& app, const Named& named,
                  const Context& context, int argc, char** argv) {
  const CLI::App& chosen = innermost(app);
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::optional<std::string> near;
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty()) {
    const std::string& word = extras.front();
    char** options_end = std::find(argv, argv + argc, std::string_view("--"));
    const bool option = std::find(argv, options_end, word) != options_end && word.starts_with("-");
    message = fmt::format("{}: there is no such {}", quoted(word.substr(0, word.find('='))),
                          option ? "option" : "command or argument here");
    const std::string name = word.substr(0, word.find('='));
    near = option ? nearest_option(chosen, name) : did_you_mean(name, known_words(named));
    if (!option && word.starts_with("-"))
      return Error(Kind::usage, message).hint("options stand before the word --");
  } else if (argc > 1 && named.noun.empty() && argv[1][0] != '-') {
    message = fmt::format("{}: there is no such command", quoted(std::string_view(argv[1])));
    near = did_you_mean(argv[1], known_words(named));
  } else if (const auto choice = choice_to_make(message, context)) {
    message = *choice;
  } else if (chosen.get_require_subcommand_min() > 0) {
    message = &chosen == &app ? "no command is given"
                              : fmt::format("{} what? {}", chosen.get_name(), verbs_of(chosen));
  }
  return Error(Kind::usage, message)
      .hint(near ? fmt::format("did you mean {}?", *near) : "see " + help_command(chosen));
}

Json error_json(const Error& error) {
  Json json{{"kind", info(error.kind()).name}, {"message", json_text(error.what())}};
  if (!error.hint().empty()) json["hint"] = json_text(error.hint());
  if (!error.ckr().empty()) json["ckr"] = error.ckr();
  if (!error.candidates().empty()) {
    json["candidates"] = Json::array();
    for (const std::string& uri : error.candidates()) json["candidates"].push_back(json_text(uri));
  }
  return json;
}

// Whoever cannot be shown a result must learn that it is there.
void print(const Context& context, ByteView result) {
  try {
    write_file("-", result, kPublicFile, Replace::yes);
  } catch (const Error& error) {
    throw error.during(context.command + ": it is done, but cannot be shown");
  }
}

std::string envelope_text(const Context& context, int exit, const Json* data, const Error* error) {
  Json envelope{{"command", context.command}, {"ok", exit == 0}, {"exit", exit}};
  if (data != nullptr) envelope["data"] = *data;
  if (error != nullptr) envelope["error"] = error_json(*error);
  envelope["warnings"] = Json::array();
  for (const std::string& warning : context.warnings)
    envelope["warnings"].push_back(json_text(warning));
  return envelope.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void print_json(const Context& context, int exit, const Json* data, const Error* error) {
  const std::string text = envelope_text(context, exit, data, error);
  if (error == nullptr) return print(context, as_bytes(text));
  write_file("-", as_bytes(text), kPublicFile, Replace::yes);
}

// sandbox fails with a status that COMMAND hardly has, as env(1) does.
int status_of(const Context& context, const Error& error) {
  return context.command == "sandbox" ? 125 : error.exit_status();
}

// The words for the death of this process, which only a module can cause as far as we know.
void prepare_for_crashes(const Context& context) {
  const Error error =
      Error(Kind::token_failed, context.command + ": the module crashed, or ended this process")
          .hint("see what was interrupted with: hsmith doctor");
  report_crashes(fmt::format("hsmith: {}\nhsmith: hint: {}\n", error.what(), error.hint()),
                 context.options.json
                     ? envelope_text(context, status_of(context, error), nullptr, &error)
                     : "",
                 status_of(context, error));
}

void print_error_lines(const Error& error) {
  print_error_line(error.what());
  for (const std::string& uri : error.candidates()) print_error_line("candidate: " + uri);
  if (!error.hint().empty()) print_error_line("hint: " + error.hint());
}

int print_error(const Context& context, const Error& error) {
  print_error_lines(error);
  if (context.options.json) print_json(context, status_of(context, error), nullptr, &error);
  return status_of(context, error);
}

int status_of(const Outcome& outcome) {
  return outcome.failures.empty() ? outcome.exit : outcome.failures.front().exit_status();
}

void print_outcome(const Context& context, const Outcome& outcome) {
  for (const Error& failure : outcome.failures) print_error_lines(failure);
  if (context.options.json) {
    if (outcome.raw) {
      throw Error(Kind::usage, "print binary output as JSON: that does not go together")
          .hint("name a file with -o");
    }
    print_json(context, status_of(outcome), &outcome.data,
               outcome.failures.empty() ? nullptr : &outcome.failures.front());
    return;
  }
  if (outcome.raw && isatty(STDOUT_FILENO) != 0) {
    throw Error(Kind::usage, "print binary output on a terminal: refused")
        .hint("name a file with -o");
  }
  print(context, outcome.raw ? ByteView(*outcome.raw) : as_bytes(outcome.text));
}

// [quirks."FILE NAME"] of the configuration.
void set_quirks(const Config& config) {
  for (const auto& [module, values] : config.quirks) {
    try {
      tokens::set_module_quirks(module, values);
    } catch (const Error& error) {
      throw error.during(fmt::format("read the configuration {}: [quirks.{}]", quoted(config.path),
                                     quoted(module)));
    }
  }
}

void load_settings(Context& context) {
  context.environment = take_environment();
  if (context.options.state) context.environment.state_folder = *context.options.state;
  context.config =
      load_config(context.options.config ? context.options.config : variable("HSMITH_CONFIG"),
                  context.environment);
  set_quirks(context.config);
}

// The variables that sources name as env:NAME leave the environment before anything is run: the
// command that gives another source's secret must not inherit them.
void take_named_secrets(const CLI::App& app, Context& context) {
  std::vector<std::string> sources;
  for (const CLI::App* level = &innermost(app); level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      if (option->get_name().ends_with("-source"))
        sources.insert(sources.end(), option->results().begin(), option->results().end());
    }
  }
  for (const auto& source : {variable("HSMITH_PIN_SOURCE"), variable("HSMITH_SO_PIN_SOURCE"),
                             context.config.pin_source, context.config.so_pin_source}) {
    if (source) sources.push_back(*source);
  }
  for (const std::string& source : sources) {
    const std::string name = source.starts_with("env:") ? source.substr(4) : "";
    if (!name.empty() && name.find('=') == std::string::npos)
      secret_variable(context.environment, name);
  }
}

// What is refused is on record as what is done.
Outcome run_command(Context& context) {
  try {
    Outcome outcome = context.run();
    for (const Error& failure : outcome.failures) record_refusal(context, failure);
    return outcome;
  } catch (const Error& error) {
    if (!context.announced) record_refusal(context, error);
    throw;
  }
}

// What the arguments ask for; the exit status.
int run(int all, char** argv, Context& context) {
  CLI::App app("Keys that live on PKCS#11 devices and never leave them", "hsmith");
  app.fallthrough();
  app.set_help_all_flag("");
  add_global_options(app, context.options);
  app.set_version_flag("--version", version_text);
  const Named named = named_command(app, {argv + 1, argv + all});
  context.command = named.verb.empty() ? named.noun : named.noun + " " + named.verb;
  add_commands(app, context, named);
  app.footer(
      "Each command has its own --help, with examples.\n"
      "Examples:\n  hsmith quickstart\n  hsmith key list --json");
  const int argc = count_own(app, named, all, argv);
  context.trailing.assign(argv + argc, argv + all);
  if (!context.trailing.empty() && context.trailing.front() == "--") {
    context.trailing.erase(context.trailing.begin());
  }
  // --json counts for errors of the arguments as well, wherever it stands before a "--".
  char** options_end = std::find(argv, argv + argc, std::string_view("--"));
  context.options.json = std::find(argv, options_end, std::string_view("--json")) != options_end;
  check_values(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());  // of the command that was chosen, with the way to it
    return 0;
  } catch (const CLI::CallForVersion&) {
    fmt::print("{}", version_text());
    return 0;
  } catch (const CLI::ParseError& error) {
    throw usage_error(error, app, named, context, argc, argv);
  }
  refuse_empty_values(app);
  load_settings(context);
  take_named_secrets(app, context);
  if (context.command != "sandbox") prepare_for_crashes(context);
  const Outcome outcome = run_command(context);
  stop_reporting_crashes();
  print_outcome(context, outcome);
  forget_finished_runs();
  return status_of(outcome);
}

}  // namespace

int run_app(int argc, char** argv) {
  fill_standard_streams();
  harden();
  Context context;
  try {
    return run(argc, argv, context);
  } catch (const Error& error) {
    stop_reporting_crashes();
    try {
      return print_error(context, error);
    } catch (const Error&) {  // standard output is closed: the status still tells
      return status_of(context, error);
    }
  } catch (const std::filesystem::filesystem_error& error) {
    stop_reporting_crashes();
    return print_error(context,
                       Error(Kind::io, fmt::format("look at {}: {}", quoted(error.path1().string()),
                                                   error.code().message())));
  } catch (const std::exception& error) {
    stop_reporting_crashes();
    return print_error(
        context, Error(Kind::internal, fmt::format("internal error: {}", printable(error.what())))
                     .hint("this is a fault of hsmith; please report it"));
  }
}

}  // namespace hsmith::cli
