// Revocation lists that come into an archive.
#pragma once

#include <string>

#include "cli/context.h"
#include "src/recovery/agents.h"
#include "src/recovery/archive.h"

namespace hsmith::cli {

// A list that the archive has.
struct ArchivedCrl {
  Bytes sha256;
  ossl::Crl crl;
};
// Those of its settings; what its database lost is passed over.
std::vector<ArchivedCrl> archived_crls(recovery::Archive& archive);

// Puts the lists of a file into the change and its settings, where each takes the place of the one
// of the same issuer and scope among `there`; gives what is there then. Throws mismatch for a list
// that neither an anchor nor a link to one signed, malformed for one that nobody could use, refused
// for one that is older than what it would replace or from the future. Warns of one that is out of
// date.
std::vector<ArchivedCrl> take_crls(const std::string& file, const recovery::Trust& trust,
                                   std::vector<ArchivedCrl> there, recovery::ArchiveChange& change,
                                   Context& context);

}  // namespace hsmith::cli
