// hsmith token probe: what a token really does, by session keys and real operations.
#include <algorithm>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/probe_cycles.h"
#include "cli/token_child.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Json row_json(const tokens::ProbeRow& row) {
  Json json{{"what", row.what}, {"result", tokens::probe_state_name(row.state)}};
  if (!row.ckr.empty()) json["ckr"] = row.ckr;
  if (!row.fallback.empty()) json["fallback"] = row.fallback;
  if (!row.detail.empty()) json["detail"] = row.detail;
  return json;
}

Json probe_token(const std::string& goal, const tokens::OpenToken& token, const tokens::Say& say) {
  tokens::SessionObjects objects(token);
  const tokens::Probe probe{token, objects, say};
  std::vector<tokens::ProbeRow> rows{tokens::probe_session_keys(probe)};
  if (rows.front().state == tokens::ProbeState::works) {
    for (tokens::ProbeRow& row :
         goal.empty() ? tokens::probe_matrix(probe) : probe_cycle(goal, probe))
      rows.push_back(std::move(row));
  }
  objects.finish();
  Json list = Json::array();
  for (const tokens::ProbeRow& row : rows) list.push_back(row_json(row));
  return list;
}

std::string text_of(const Json& rows) {
  std::vector<std::vector<std::string>> lines;
  for (const Json& row : rows) {
    lines.push_back(
        {row["what"].get<std::string>(), row["result"].get<std::string>(), row.value("ckr", ""),
         row.contains("fallback") ? row["fallback"].get<std::string>() : row.value("detail", "")});
  }
  return table({"WHAT", "RESULT", "TOKEN SAYS", "THEN"}, lines);
}

Outcome run(const std::string& goal, Context& context) {
  if (!goal.empty()) check_probe_goal(goal);
  const Json rows = in_token_child(context, nullptr, "probe the token",
                                   [&](const tokens::OpenToken& token, const tokens::Say& say) {
                                     return probe_token(goal, token, say);
                                   });
  const auto works = [](const Json& row) { return row["result"] == "works"; };
  // A cycle does when the session keys and at least one way through it do.
  const bool done = works(rows.front()) && std::any_of(rows.begin() + 1, rows.end(), works);
  Outcome outcome;
  outcome.data = {{"rows", rows}};
  outcome.text = text_of(rows);
  if (goal.empty()) return outcome;
  outcome.data["for"] = goal;
  if (rows.size() == 1 && !works(rows.front())) {
    outcome.exit = info(Kind::unsupported).exit_status;
    outcome.text += fmt::format(
        "\nNOT KNOWN: nothing can be tried for {} without leaving keys on this token\n", goal);
    return outcome;
  }
  outcome.exit = done ? 0 : 3;
  outcome.data["works"] = done;
  outcome.text += done ? fmt::format("\nthis token does for {}\n", goal)
                       : fmt::format("\nNO: this token does not do for {}\n", goal);
  return outcome;
}

}  // namespace

void add_token_probe(Arguments& command, Context& context) {
  auto goal = std::make_shared<std::string>();
  command.add_option("--for", *goal, "One whole cycle: sign, csr, cms-decrypt, kra or backup");
  command.footer("Examples:\n  hsmith token probe\n  hsmith token probe --for kra --json");
  command.callback(
      [goal, &context] { context.run = [goal, &context] { return run(*goal, context); }; });
}

}  // namespace hsmith::cli
