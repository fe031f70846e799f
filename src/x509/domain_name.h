// Domain names as certificates have them: A-labels in lower case (RFC 5280, 7.2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hsmith::x509 {

// The name in A-labels; the wildcard "*" only as its whole left-most label (RFC 9525, 6.3). An
// internationalised name is turned into A-labels (IDNA2008), with a line in `notices`. Throws usage
// with the name, and unsupported where libidn2 is wanted and not installed.
std::string domain_name(std::string_view text, std::vector<std::string>& notices);

// True for a domain name with characters beyond ASCII, and not a person or an organisation.
bool is_international_domain(std::string_view text);

}  // namespace hsmith::x509
