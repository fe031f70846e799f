// A login of the security officer's that can be interrupted.
#pragma once

#include <functional>

#include "cli/context.h"

namespace hsmith::cli {

struct OfficerSession {
  tokens::OpenToken token;
  // Logs out, does `work`, and logs in again with the same PIN, which is asked for once. What
  // `work` throws comes out, and nobody is logged in then.
  std::function<void(const std::function<void()>& work)> while_logged_out;
};

// As open_as("so", …) of context.h.
OfficerSession open_for_officer(Context& context, const tokens::Reach& way);

}  // namespace hsmith::cli
