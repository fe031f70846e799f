// Finishing what an interrupted command had begun with certificates.
#pragma once

#include "cli/repair.h"

namespace hsmith::cli {

// Deletes objects of a certificate that were begun and not finished: they lack its label or its id,
// and have no other. `labels` are those of a whole one. Throws token_failed where a certificate
// with the id cannot be read, and deletes nothing then.
void delete_half_made(const tokens::OpenToken& token, const Bytes& der, const Bytes& id,
                      const std::vector<std::string>& labels);

// A certificate object that was begun is made anew: the journal has the certificate. Nothing is
// done where its key has got another one since.
Repaired repair_installation(const tokens::OpenToken& token, const journal::Entry& entry);

// The new certificate is put there, then what it was to retire goes.
Repaired repair_chain(const tokens::OpenToken& token, const journal::Entry& entry,
                      Context& context);

// cert repair: what goes with a key gets its label and its id.
Repaired repair_links(const tokens::OpenToken& token, const journal::Entry& entry);

}  // namespace hsmith::cli
