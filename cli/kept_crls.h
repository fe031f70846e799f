// Revocation lists that were installed: files of the state folder, one for each issuer and scope.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::cli {

// The lists of a file. Parsed, a list takes ten times the room of its file: 32 MiB are the limit.
std::vector<ossl::Crl> read_crl_file(const std::string& file);

struct KeptCrl {
  std::filesystem::path file;
  ossl::Crl crl;
};

// All that are kept, ordered by file. Throws malformed for one that cannot be read.
std::vector<KeptCrl> kept_crls(const std::filesystem::path& state_folder);

// Where a list is kept: the same place for its successors, another for delta lists and for other
// scopes of the same issuer.
std::filesystem::path place_of(const std::filesystem::path& state_folder, X509_CRL* crl);

}  // namespace hsmith::cli
