#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>

#include "cli/commands.h"
#include "cli/declarations.h"
#include "cli/findings.h"
#include "src/base/text.h"
#include "src/ca/store.h"
#include "src/ossl/algorithms.h"
#include "src/x509/profile.h"
#include "tokens/public_names.h"

namespace hsmith::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Whoever presses the key waits for all modules together no longer than this.
constexpr milliseconds kPatience{800};

enum class Values {
  files,
  nothing,
  tokens,
  keys,
  certificates,
  modules,
  key_types,
  profiles,
  authorities,
  words
};

struct ValuesOf {
  Values values = Values::files;
  const char* words = "";  // for Values::words, with spaces
};

constexpr char kPinSources[] = "env: file: fd: cmd: prompt pinpad";

// By the option's or argument's name; what is not here is a file.
const std::map<std::string, ValuesOf>& values_table() {
  static const std::map<std::string, ValuesOf> kTable = [] {
    std::map<std::string, ValuesOf> table{
        {"--token", {Values::tokens}},
        {"--erase", {Values::tokens}},
        {"--key", {Values::keys}},
        {"--under", {Values::keys}},
        {"--backup-under", {Values::keys}},
        {"KEY", {Values::keys}},
        {"NAME", {Values::keys}},
        {"CERT", {Values::certificates}},
        {"--module", {Values::modules}},
        {"--type", {Values::key_types}},
        {"--key-type", {Values::key_types}},
        {"--profile", {Values::profiles}},
        {"--ca", {Values::authorities}},
        {"CA", {Values::authorities}},
        {"--reason",
         {Values::words,
          "keyCompromise cACompromise affiliationChanged superseded "
          "cessationOfOperation certificateHold removeFromCRL privilegeWithdrawn "
          "aACompromise unspecified"}},
        {"--pin-source", {Values::words, kPinSources}},
        {"--so-pin-source", {Values::words, kPinSources}},
        {"--new-pin-source", {Values::words, kPinSources}},
        {"--challenge-source", {Values::words, kPinSources}},
        {"--for", {Values::words, "openssl nginx apache curl ssh git osslsigncode"}},
        {"--use", {Values::words, "sign decrypt derive wrap"}},
        {"--scheme", {Values::words, "pkcs1 pss ecdsa eddsa"}},
        {"--digest", {Values::words, "sha256 sha384 sha512"}},
        {"--purpose", {Values::words, "server client email kra codesign timestamp any"}},
        {"--cipher", {Values::words, "aes-256-cbc aes-256-gcm"}},
        {"--rsa-padding", {Values::words, "oaep pkcs1"}},
        {"SHELL", {Values::words, "bash zsh fish"}},
    };
    for (const char* free :
         {"--slot",    "--module-init", "--cn",          "--o",          "--ou",     "--l",
          "--st",      "--c",           "--email",       "--subject",    "--san",    "--ku",
          "--eku",     "--ext",         "--host",        "--ip",         "--label",  "--id",
          "--serial",  "--expiring",    "--at",          "--max-depth",  "--policy", "--listen",
          "--as-user", "NEW",           "SERIAL",        "--days",       "--cdp",    "--aia",
          "--approve", "--crl-days",    "--path-length", "--generation", "--jobs",   "--replace"}) {
      table[free] = {Values::nothing};
    }
    return table;
  }();
  return kTable;
}

// Where the cursor is: behind an option that wants a value, or at the n-th argument of a command.
struct Place {
  CLI::App* app = nullptr;
  std::string command;
  CLI::Option* option = nullptr;
  std::size_t arguments = 0;
};

CLI::Option* option_named(CLI::App* app, const std::string& name) {
  for (CLI::App* level = app; level != nullptr; level = level->get_parent()) {
    if (CLI::Option* option = level->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

// Remembers what a global option says; what is wrong with it is for the command itself to say.
void note(CLI::Option* option, const std::string& value) {
  try {
    option->add_result(value);
    option->run_callback();
  } catch (const CLI::Error&) {
  }
}

CLI::App* subcommand(CLI::App* app, const std::string& name) {
  for (CLI::App* below : app->get_subcommands(nullptr)) {
    if (below->get_name() == name) return below;
  }
  return nullptr;
}

Place find_place(CLI::App& app, const std::vector<std::string>& before) {
  Place place{&app, "", nullptr, 0};
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string& word = before[i];
    const std::size_t equals = word.find('=');
    CLI::Option* option =
        word.starts_with("-") ? option_named(place.app, word.substr(0, equals)) : nullptr;
    if (option != nullptr) {
      if (option->get_expected_min() == 0) continue;
      if (equals != std::string::npos) {
        note(option, word.substr(equals + 1));
      } else if (i + 1 == before.size()) {
        place.option = option;
      } else {
        note(option, before[++i]);
      }
    } else if (CLI::App* below = subcommand(place.app, word)) {
      place.app = below;
      place.command += (place.command.empty() ? "" : " ") + word;
    } else if (!word.starts_with("-")) {
      ++place.arguments;
    }
  }
  return place;
}

// The argument at which the cursor is; the last one where it takes several.
CLI::Option* argument_at(const Place& place) {
  CLI::Option* last = nullptr;
  std::size_t index = 0;
  for (CLI::Option* option : place.app->get_options()) {
    if (!option->get_positional()) continue;
    last = option;
    if (index++ == place.arguments) return option;
  }
  return last != nullptr && last->get_items_expected_max() > 1 ? last : nullptr;
}

bool is_visible(const std::string& text) { return !text.empty() && printable(text) == text; }

// The forms in which a name may be written, of which the begun word chooses.
void add_name(const tokens::PublicName& name, const std::string& begun,
              std::vector<Suggestion>& found) {
  if (is_visible(name.label)) found.push_back({name.label, ""});
  if (begun.empty()) return;
  if (is_visible(name.label)) found.push_back({"label:" + name.label, ""});
  if (!name.id.empty()) found.push_back({"id:" + hex(name.id), name.label});
  found.push_back({name.uri, ""});
}

std::vector<Suggestion> names_on_tokens(Context& context, tokens::Nameable what,
                                        const std::string& begun) {
  std::vector<Suggestion> found;
  if (context.options.config)
    context.config = load_config(context.options.config, context.environment);
  const tokens::TokenChoice choice =
      what == tokens::Nameable::tokens ? tokens::TokenChoice{} : chosen_token(context);
  const auto end = steady_clock::now() + kPatience;
  for (const tokens::ConfiguredModule& module : modules_in_reach(context)) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    if (left <= milliseconds(0)) break;
    for (const auto& name : tokens::public_names(module, choice, what, left))
      add_name(name, begun, found);
  }
  return found;
}

std::vector<Suggestion> as_suggestions(const std::vector<std::string>& words) {
  std::vector<Suggestion> found;
  for (const std::string& word : words) found.push_back({word, ""});
  return found;
}

std::vector<Suggestion> module_names() {
  std::vector<Suggestion> found{{kFiles, ""}};
  for (const auto& module : tokens::configured_modules()) found.push_back({module.name, ""});
  return found;
}

std::vector<Suggestion> type_names() {
  std::vector<Suggestion> found;
  for (const ossl::KeyType& type : ossl::key_types()) found.push_back({type.name, ""});
  return found;
}

// "TEXT:{pem,der}" is how CLI11 describes an option that takes one of these words.
std::vector<std::string> members(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return split(type.substr(open + 1, close - open - 1), ',');
}

std::vector<Suggestion> values_of(CLI::Option& option, const std::string& command,
                                  const std::string& begun, Context& context) {
  const auto among = members(option);
  if (!among.empty()) return as_suggestions(among);
  const std::string name =
      option.get_lnames().empty() ? option.get_name(true) : "--" + option.get_lnames().front();
  if (name == "NAME" && (command == "key generate" || command == "ca init"))
    return {};  // it must be a new one
  const auto entry = values_table().find(name);
  const ValuesOf values = entry == values_table().end() ? ValuesOf{} : entry->second;
  switch (values.values) {
    case Values::nothing:
      return {};
    case Values::tokens:
      return names_on_tokens(context, tokens::Nameable::tokens, begun);
    case Values::keys:
      return names_on_tokens(context, tokens::Nameable::keys, begun);
    case Values::certificates: {
      auto found = names_on_tokens(context, tokens::Nameable::certificates, begun);
      found.push_back({kFiles, ""});
      return found;
    }
    case Values::modules:
      return module_names();
    case Values::key_types:
      return type_names();
    case Values::profiles:
      return as_suggestions(x509::profile_names(profile_folder(context)));
    case Values::authorities:
      return as_suggestions(ca::authority_names(context.environment.state_folder));
    case Values::words:
      return as_suggestions(split(values.words, ' '));
    default:
      return {{kFiles, ""}};
  }
}

std::vector<Suggestion> options_of(CLI::App* app) {
  std::vector<Suggestion> found;
  for (CLI::App* level = app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames())
        found.push_back({"--" + name, option->get_description()});
    }
  }
  return found;
}

std::vector<Suggestion> suggestions(CLI::App& app, const std::vector<std::string>& words,
                                    Context& context) {
  const std::string& begun = words.back();
  const Place place = find_place(app, {words.begin(), words.end() - 1});
  if (place.option != nullptr) return values_of(*place.option, place.command, begun, context);
  const std::size_t equals = begun.find('=');
  if (begun.starts_with("--") && equals != std::string::npos) {
    CLI::Option* option = option_named(place.app, begun.substr(0, equals));
    if (option == nullptr) return {};
    auto found = values_of(*option, place.command, begun.substr(equals + 1), context);
    for (Suggestion& one : found) {
      if (one.word != kFiles) one.word.insert(0, begun, 0, equals + 1);
    }
    return found;
  }
  if (begun.starts_with("-")) return options_of(place.app);
  std::vector<Suggestion> found;
  for (const CLI::App* below : place.app->get_subcommands(nullptr))
    found.push_back({below->get_name(), below->get_description()});
  if (!found.empty()) return found;
  if (place.command == "sandbox") return {{kFiles, ""}};
  CLI::Option* argument = argument_at(place);
  return argument == nullptr ? found : values_of(*argument, place.command, begun, context);
}

}  // namespace

std::vector<Suggestion> complete(const std::vector<std::string>& words, Context& context) {
  if (words.empty()) return {};
  context.options.quiet = true;
  CLI::App app;
  std::vector<Suggestion> found;
  try {
    add_global_options(app, context.options);
    add_commands(app, context, named_command(app, words));
    found = suggestions(app, words, context);
  } catch (const std::exception&) {  // at a prompt nobody wants to read why
    return {};
  }
  std::erase_if(found, [&](const Suggestion& one) {
    return one.word != kFiles && !one.word.starts_with(words.back());
  });
  return found;
}

}  // namespace hsmith::cli
