// Finishing, or undoing, what an interrupted command had begun.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "src/journal/intents.h"

namespace hsmith::cli {

struct Repaired {
  bool settled = false;  // struck out of the journal
  std::string text;      // what was done, or what is needed
};

// What the journal knows under that name; empty where it is not there, or no text.
std::string fact(const journal::Entry& entry, const char* name);

// Takes back a pair that was made for something that then did not happen.
Repaired repair_unused_key(const tokens::OpenToken& token, const journal::Entry& entry,
                           const Context& context);

// What an entry is about, in one line for doctor.
std::string describe(const journal::Entry& entry);

// Completes before it undoes. Acts only on the token with the entry's serial number and on objects
// with its label and, where it is known, its public key. A private key is deleted only with --yes,
// and never when it has a certificate. Safe to be killed and run again.
Repaired repair(const journal::Entry& entry, Context& context);

}  // namespace hsmith::cli
