// The certificate in an authority's CMC response, as far as the response can be believed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/ossl/handles.h"

namespace hsmith::cli {

// The certificates of a file that is a CMC response: the issued one first, then the authorities'.
// nullopt for any other file. Throws refused when the authority did not issue, mismatch when a
// request that sent its key along waits for another authority's answer, or for another archived
// key.
std::optional<std::vector<ossl::Certificate>> certificates_of_response(const Bytes& file,
                                                                       const std::string& name,
                                                                       const Context& context);

}  // namespace hsmith::cli
