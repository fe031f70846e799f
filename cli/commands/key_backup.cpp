// hsmith key backup: keys, wrapped under a trusted key, in a file that was opened again before.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/backup.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::vector<std::string> keys;
  std::string under;
  std::string output;
};

std::vector<tokens::Key> find_keys(const tokens::OpenToken& token,
                                   const std::vector<std::string>& names) {
  std::vector<tokens::Key> keys;
  for (const std::string& name : names) {
    keys.push_back(tokens::find_one(token, tokens::parse_selector(name)));
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      if (keys[i].handle == keys.back().handle)
        throw Error(Kind::usage, fmt::format("key backup: {} is named twice", keys.back().uri));
    }
    tokens::check_is_for_backup(token, keys.back());
  }
  return keys;
}

Outcome run(const Options& options, Context& context) {
  if (context.options.json && options.output == "-")
    throw Error(Kind::usage, "key backup: --json and -o - both want standard output");
  check_output(options.output, context.replace());
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write);
  const tokens::Key wrapping_key =
      tokens::find_wrapping_key(token, tokens::parse_selector(options.under));
  const std::vector<tokens::Key> keys = find_keys(token, options.keys);
  if (context.options.plan) {
    return planned({{Change::Kind::create,
                     fmt::format("{} with {} keys, wrapped under {}", quoted(options.output),
                                 keys.size(), wrapping_key.uri)}});
  }
  Json uris = Json::array();
  for (const tokens::Key& key : keys) uris.push_back(key.uri);
  record(
      context,
      {{"event", "begin"}, {"keys", uris}, {"under", wrapping_key.uri}, {"output", options.output}},
      audit::Flush::yes);
  const tokens::Backup backup = tokens::make_backup(token, wrapping_key, keys);
  const std::string text = tokens::backup_text(backup);
  tokens::read_backup(as_bytes(text), quoted(options.output));
  const bool to_file = options.output != "-";
  if (to_file) write_file(options.output, as_bytes(text), kPrivateFile, context.replace());
  or_done_anyway("key backup is not on record as done", [&] {
    record(context, {{"event", "done"}, {"keys", uris}, {"output", options.output}},
           audit::Flush::yes);
  });
  Outcome outcome;
  outcome.data = {{"output", options.output},
                  {"keys", uris},
                  {"wrapping_key", wrapping_key.uri},
                  {"mechanism", backup.mechanism},
                  {"padding", backup.padding}};
  if (!backup.check_value.empty()) outcome.data["check_value"] = backup.check_value;
  if (!to_file) outcome.raw = to_bytes(as_bytes(text));
  if (to_file)
    outcome.text = fmt::format("{} of {} keys backed up and opened again: {}\n", keys.size(),
                               keys.size(), printable(options.output));
  return outcome;
}

}  // namespace

void add_key_backup(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("KEY", options->keys, "Label, id:HEX or PKCS#11 URI; made with --backup-under")
      .required();
  command.add_option("--under", options->under, "The wrapping key").required();
  command.add_option("-o,--output", options->output, "File to write").required();
  command.footer(
      "Examples:\n  hsmith key backup web mail --under backups -o keys.backup\n"
      "  hsmith key backup id:0a0b --under backups -o web.backup --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
