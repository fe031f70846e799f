#include "cli/rekey.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {

RekeyAnswerFile read_rekey_answer_file(const std::string& file) {
  RekeyAnswerFile read;
  read.agent_file = recovery::read_agent_file(read_file(file, recovery::kMostRekeyFile), file);
  read.answer = recovery::read_rekey_answer(as_bytes(read.agent_file.text), file);
  read.exported_file = recovery::read_signed_file(read.answer.exported, file);
  read.exported = recovery::read_rekey_export(read.exported_file.content, file);
  return read;
}

void add_failures(Outcome& outcome, const std::vector<recovery::RekeyFailure>& failures,
                  const std::string& doing) {
  outcome.data["failed"] = Json::array();
  for (const auto& failure : failures) {
    outcome.data["failed"].push_back({{"number", failure.id}, {"cause", json_text(failure.cause)}});
    outcome.failures.emplace_back(Kind::mismatch,
                                  fmt::format("{} key {}: {}", doing, failure.id, failure.cause));
  }
}

}  // namespace hsmith::cli
