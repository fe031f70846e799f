// The [NewRequest] form that certreq -new reads, as a template.
#pragma once

#include <string>
#include <vector>

#include "src/x509/inf.h"
#include "src/x509/request_template.h"

namespace hsmith::x509 {

// Every key is taken, passed over with a notice, or refused; an unknown one is refused with the
// nearest. Throws as parse_request_template does.
RequestTemplate request_from_inf(const std::vector<InfSection>& sections,
                                 const std::string& document);

}  // namespace hsmith::x509
