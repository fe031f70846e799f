// hsmith request cancel: forget a pending request, and with --delete-key the key that made it.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/matching.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string name;
  bool delete_key = false;
};

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.name);
  const tokens::Reach way =
      options.delete_key ? reach_to_destroy(context, &selector) : reach(context, &selector);
  const auto access = options.delete_key ? pkcs11::Access::read_write : pkcs11::Access::read_only;
  const tokens::OpenToken token = open_for_user(context, access, way, &selector);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Key key = tokens::find_one(token, selector);
  const ossl::PKey half = tokens::proved_public_key_of(token, key);
  const auto kept = pending_request(context.environment.state_folder, half.get());
  if (!kept && !options.delete_key) {
    throw Error(Kind::not_found, fmt::format("cancel the request of {}: none is kept", key.uri))
        .hint("see what is pending with: hsmith request list");
  }
  const tokens::KeyObjects objects = objects_for_change(token, key, context);
  std::vector<Change> changes;
  if (kept) changes.push_back({Change::Kind::destroy, "request " + kept->file.string()});
  if (options.delete_key) {
    if (!objects.certificates.empty()) {
      throw Error(Kind::refused,
                  fmt::format("delete the key of a pending request: {} has a certificate", key.uri))
          .hint("when it shall go all the same: hsmith key delete " + shell_word(key.uri));
    }
    for (const auto& public_key : objects.public_keys)
      changes.push_back({Change::Kind::destroy, public_key.uri});
    changes.push_back({Change::Kind::destroy, key.uri});
  }
  if (context.options.plan) return planned(changes);
  if (options.delete_key) {
    confirm(context, changes);
    undertake(context, token.info, deletion_facts(objects), [&](Undertaking&) {
      tokens::destroy(token, objects);
      return true;
    });
  }
  forget_request(context.environment.state_folder, half.get());
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"request_forgotten", kept.has_value()},
                  {"key_deleted", options.delete_key}};
  for (const Change& change : changes)
    outcome.text += fmt::format("removed {}\n", printable(change.what));
  return outcome;
}

}  // namespace

void add_request_cancel(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "The key: label, id:HEX or PKCS#11 URI").required();
  command.add_flag("--delete-key", options->delete_key, "Delete the key as well");
  command.footer(
      "Examples:\n  hsmith request cancel web\n  hsmith request cancel web --delete-key --token "
      "prod --yes");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
