// Recovered keys straight onto a token: the user's new card.
#pragma once

#include <optional>
#include <string>

#include "cli/recovery_blobs.h"
#include "tokens/selector.h"

namespace hsmith::cli {

// A token named by a URI, perhaps with the key's label (object=) and id, and its PIN. That one is
// read when this is made, before any module is loaded: from `source`, else the URI's pin-source,
// else at the terminal. The PIN of the agent's card is never sent to it.
struct TargetToken {
  tokens::Selector selector;
  std::string text;  // the URI as it was given, for messages and the receipt
  tokens::PinOptions pin;
  bool several = false;  // keys: their labels have the serial number too
};
TargetToken target_token(Context& context, const std::string& uri,
                         const std::optional<std::string>& pin_source);

// Puts each key there with its certificate, not extractable, proved by an operation. One that is
// there already, cannot be read out and decrypts gets what it lacks; of several copies the one that
// the URI names. Nothing else is open on the way in: the agent's token is not.
Outcome put_on_token(Context& context, const TargetToken& target, const std::vector<Opened>& opened,
                     Failures& failures);

}  // namespace hsmith::cli
