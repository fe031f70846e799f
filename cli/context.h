// What every command shares: global options, settings, warnings, and the way to a token.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/config.h"
#include "src/base/environment.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "tokens/configured_modules.h"
#include "tokens/selector.h"
#include "tokens/token.h"

namespace hsmith::cli {

using Json = nlohmann::ordered_json;

struct GlobalOptions {
  std::optional<std::string> module;
  std::optional<std::string> module_init;
  std::optional<std::string> token;
  std::optional<unsigned long> slot;
  std::optional<std::string> pin_source;
  std::optional<std::string> so_pin_source;
  std::optional<std::string> config;
  std::optional<std::string> state;
  std::optional<std::string> trace;
  bool json = false;
  bool batch = false;
  bool yes = false;
  bool plan = false;
  bool force = false;
  bool quiet = false;
  bool verbose = false;
  bool use_last_try = false;
  bool retry_pin = false;
};

// What a command has to say when it is done: `data` for --json, `text` for people. An answer of
// "no" is exit status 3; errors are exceptions, but of several items that were asked for those that
// failed are `failures`: the others are done, and the first failure decides the exit status.
struct Outcome {
  Json data = Json::object();
  std::string text;
  int exit = 0;
  // Bytes for standard output in place of the text: a certificate in DER, say.
  std::optional<Bytes> raw;
  std::vector<Error> failures;
};

// A line on standard error, after "hsmith: ". Where that cannot be written the line is lost: no
// reason to fail, least of all in the middle of a change.
void print_error_line(const std::string& text);

struct Context {
  GlobalOptions options;
  Environment environment;
  Config config;
  std::vector<std::string> warnings;
  bool announced = false;             // the audit log says that the command's change begins
  std::string command;                // "key generate"
  std::vector<std::string> trailing;  // sandbox's COMMAND, with its arguments
  std::function<Outcome()> run;       // set by the command that was chosen

  // A line on standard error, and an entry of the JSON's warnings.
  void warn(const std::string& text);
  // A line on standard error with -v.
  void tell(const std::string& text) const;
  Replace replace() const { return options.force ? Replace::yes : Replace::no; }
};

// The module that options, environment and configuration name; none named: all that p11-kit has
// configured.
std::vector<tokens::ConfiguredModule> modules_in_reach(const Context& context);

// The token that options, a selector's URI, environment and configuration name, in this order.
tokens::TokenChoice chosen_token(const Context& context,
                                 const tokens::Selector* selector = nullptr);

// The way to the token that options, a selector's URI, environment and configuration name, in this
// order. Without a module, every module that p11-kit has configured is looked at.
tokens::Reach reach(Context& context, const tokens::Selector* selector = nullptr);

// The same for commands that destroy: the token must be named on the command line (--token, --slot
// or a URI). Throws usage.
tokens::Reach reach_to_destroy(Context& context, const tokens::Selector* selector = nullptr);

// Opens the token and logs the user in. `selector` may name token and PIN source in its URI.
tokens::OpenToken open_for_user(Context& context, pkcs11::Access access,
                                const tokens::Selector* selector = nullptr);
tokens::OpenToken open_for_user(Context& context, pkcs11::Access access, const tokens::Reach& way,
                                const tokens::Selector* selector = nullptr);

// Opens the token for changes and logs in: "user" or "so" (--login-as).
tokens::OpenToken open_as(const std::string& user, Context& context, const tokens::Reach& way,
                          const tokens::Selector* selector = nullptr);

// The PIN source of a role, from option, URI, environment and configuration.
tokens::PinOptions pin_options(const Context& context, tokens::PinRole role,
                               const tokens::Selector* selector = nullptr);

// What a command would do, for --plan and before something is destroyed.
struct Change {
  enum class Kind { create, change, destroy } kind;
  std::string what;
};
// --plan's answer: the list of changes, nothing done.
Outcome planned(const std::vector<Change>& changes);
// Lists what goes and asks; --yes answers. Throws confirmation_needed when it is not confirmed, or
// nobody may be asked.
void confirm(const Context& context, const std::vector<Change>& changes);

// Text from a token or a certificate as JSON: bytes that are not UTF-8 come escaped.
Json json_text(std::string_view text);

// Rows under headings, columns aligned.
std::string table(const std::vector<std::string>& headings,
                  const std::vector<std::vector<std::string>>& rows);

}  // namespace hsmith::cli
