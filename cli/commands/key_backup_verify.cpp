// hsmith key backup-verify: opens a backup on the token, without keeping anything of it.
#include <fmt/format.h>

#include "cli/backup_input.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/backup.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::string under;
};

// "" or why the key cannot be had back.
std::string problem_of(const tokens::OpenToken& token, const tokens::Key& wrapping_key,
                       const tokens::KeyWrap& wrap, const tokens::BackedUpKey& key,
                       ByteView to_sign) {
  if (!tokens::verify_backup_signature(key, to_sign))
    return "its signature does not verify: the file was changed";
  const auto problem = tokens::backup_problem(token, wrapping_key, wrap, key);
  return problem ? problem->what() : "";
}

Outcome run(const Options& options, Context& context) {
  const tokens::Backup backup = read_backup_file(options.file);
  const Bytes to_sign = tokens::backup_to_sign(backup);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write);
  const tokens::Key wrapping_key =
      tokens::find_wrapping_key(token, tokens::parse_selector(options.under));
  const tokens::KeyWrap wrap = tokens::wrap_for(token, wrapping_key, backup);
  Outcome outcome;
  outcome.data = {{"file", options.file},
                  {"created", rfc3339(backup.created)},
                  {"wrapping_key", wrapping_key.uri},
                  {"keys", Json::array()}};
  std::size_t good = 0;
  for (const tokens::BackedUpKey& key : backup.keys) {
    const std::string problem = problem_of(token, wrapping_key, wrap, key, to_sign);
    Json row{{"label", key.spec.label},
             {"id", hex(key.spec.id)},
             {"type", key.spec.type->name},
             {"certificates", key.certificates.size()},
             {"recoverable", problem.empty()}};
    if (!problem.empty()) row["problem"] = problem;
    outcome.data["keys"].push_back(row);
    outcome.text += fmt::format("{}: {}\n", printable(key.spec.label),
                                problem.empty() ? "recoverable" : problem);
    good += problem.empty() ? 1 : 0;
  }
  outcome.text += fmt::format("{} of {} recoverable\n", good, backup.keys.size());
  outcome.exit = good == backup.keys.size() ? 0 : 3;
  return outcome;
}

}  // namespace

void add_key_backup_verify(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "File that key backup wrote").required();
  command.add_option("--under", options->under, "The wrapping key").required();
  command.footer(
      "Examples:\n  hsmith key backup-verify keys.backup --under backups\n"
      "  hsmith key backup-verify keys.backup --under backups --token spare --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
