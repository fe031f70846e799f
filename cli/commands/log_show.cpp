// hsmith log show: the entries of the audit log.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

std::string text_of(const Json& entry) {
  const auto text = [&](const char* name) { return printable(entry.value(name, std::string())); };
  std::string line = fmt::format("{} {} {} {}", entry.value("seq", 0), text("time"),
                                 text("command"), text("event"));
  if (entry.contains("token")) line += " token " + quoted(entry.value("token", std::string()));
  if (entry.contains("error")) line += " " + text("error");
  return line + "\n";
}

Outcome run(Context& context) {
  const std::filesystem::path log = audit_file(context);
  Outcome outcome;
  outcome.data["entries"] = Json::array();
  if (!std::filesystem::exists(log)) return outcome;
  audit::read_entries(log, [&](std::string_view line) {
    try {
      Json entry = parse_json(line);
      outcome.text += text_of(entry);
      outcome.data["entries"].push_back(std::move(entry));
    } catch (const Json::exception&) {
      context.warn("a line of the audit log is no entry; look at it with: hsmith log verify");
    }
  });
  return outcome;
}

}  // namespace

void add_log_show(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith log show\n  hsmith log show --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
