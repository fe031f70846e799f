// What hsmith checks of a path beyond OpenSSL.
#pragma once

#include <string>

#include "src/x509/path.h"

namespace hsmith::x509 {

// Adds a problem once; the list is bounded. `certificate` may be null.
void add_problem(std::vector<PathProblem>& problems, int depth, const X509* certificate,
                 std::string reason);

// Checks path.chain, leaf first, whose end is an anchor: purposes that OpenSSL 3.0 does not
// know, depth, names against name constraints, and with options.strict what RFC 5280 and the
// CA/Browser Forum's rules for servers ask. `host` is the host in A-labels, "" when none.
void check_rules(Path& path, const PathOptions& options, const std::string& host);

}  // namespace hsmith::x509
