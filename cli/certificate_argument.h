// A certificate that a user names: a file, or an object on the token.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/ossl/handles.h"
#include "tokens/certificates.h"

namespace hsmith::cli {

struct NamedCertificate {
  ossl::Certificate certificate;
  std::string name;  // for messages: the quoted file, or the URI
};

// The one certificate that the argument means. A bare word may be a file or a label: both are
// looked up, and when both are there it is ambiguous. Opens the token only when it must; `token`
// then holds it.
NamedCertificate certificate_argument(Context& context, const std::string& argument,
                                      std::optional<tokens::OpenToken>& token);

// All certificates of files, in their order.
std::vector<ossl::Certificate> read_certificate_files(const std::vector<std::string>& files);
// The same for files of trusted roots, where "system" is the system's own.
std::vector<ossl::Certificate> read_anchors(const std::vector<std::string>& files);

}  // namespace hsmith::cli
