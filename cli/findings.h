// Findings of the linter, as warnings, as a refusal and as JSON.
#pragma once

#include <span>
#include <string>

#include "cli/context.h"
#include "src/x509/finding.h"

namespace hsmith::cli {

// Warns of what is doubtful and throws refused, with the first of them, when something must not be.
void refuse_errors(std::span<const x509::Finding> findings, const std::string& doing,
                   Context& context);

Json findings_json(std::span<const x509::Finding> findings);

// The folder of the user's own profiles.
std::string profile_folder(const Context& context);

}  // namespace hsmith::cli
