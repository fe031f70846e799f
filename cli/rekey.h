// What the steps of archive rekey share.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "src/recovery/rekey.h"
#include "src/recovery/signed_file.h"

namespace hsmith::cli {

// An agent's answer, as it is read at the archive and at a new agent's place.
struct RekeyAnswerFile {
  recovery::AgentFile agent_file;
  recovery::RekeyAnswer answer;
  recovery::SignedFile exported_file;  // the officer's file in it
  recovery::RekeyExport exported;
};
RekeyAnswerFile read_rekey_answer_file(const std::string& file);

// The failures of single keys, for the outcome's JSON, and as errors.
void add_failures(Outcome& outcome, const std::vector<recovery::RekeyFailure>& failures,
                  const std::string& doing);

}  // namespace hsmith::cli
