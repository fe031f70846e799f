// Putting keys into an archive: what may go in, and encrypting it to the agents whose turn it is.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/ossl/remote_key.h"
#include "src/recovery/agents.h"
#include "src/recovery/archive.h"

namespace hsmith::recovery {

// A private key that shall be archived.
struct Candidate {
  ossl::PKey key;
  ossl::Certificate certificate;
  std::vector<ossl::Certificate> chain;  // issuers that came with it
  bool foreign = false;                  // set by judge()
  bool again = false;  // where it is archived already, encrypt it anew, to the agents of now, and
                       // put a whole row in the place of a damaged one
};

enum class Fate { fit, already, signature_only, foreign, refused };

struct Judgement {
  Fate fate = Fate::fit;
  std::string cause;  // why not; "" for fit
};

// True when a certificate is for signatures only: its key usage has none of keyEncipherment,
// dataEncipherment and keyAgreement, or its purposes are only such as need signatures.
bool is_for_signatures_only(X509* certificate);
bool is_for_signatures_only(const std::vector<std::string>& key_usage,
                            const std::vector<std::string>& purposes);

// Whether a certificate leads to an anchor of the archive, at a time when it was valid.
bool leads_to_anchor(X509* certificate, const std::vector<ossl::Certificate>& chain,
                     const Trust& trust, std::time_t now);

// Whether a key may be archived: it is RSA or EC, not for signatures only, not there yet, its
// certificate leads to an anchor (at a time when it was valid) or is allowed as foreign, it is
// proved to fit the certificate, and has a form to be archived in. A candidate `again` may be
// there.
Judgement judge(Archive& archive, const Trust& trust, Candidate& candidate, bool allow_foreign,
                std::time_t now);

// An agent that may be encrypted to.
struct UsableAgent {
  ossl::Certificate certificate;
  std::string ability;  // the best that it has
  Bytes sha256;
};

// Throws refused when fewer agents are valid than each key needs, naming the others and why, with
// the code that Windows has for it.
std::vector<UsableAgent> usable_agents(Archive& archive, const Trust& trust, std::time_t now);

// True when the key of this certificate is in the archive; throws mismatch when its row may be
// there and is not what was sealed.
bool is_archived(Archive& archive, X509* certificate);

// Encrypts the keys to the agents whose turn it is, and stores them in one transaction. When it
// returns they are on the disk; what is there already is left as it is, but for candidates `again`:
// their rows get another blob and other agents, or are written whole where they were damaged. Gives
// the places of those that it left, which another process archived meanwhile.
std::set<std::size_t> archive_keys(Archive& archive, const std::vector<Candidate>& keys,
                                   const std::vector<UsableAgent>& agents,
                                   const std::shared_ptr<ossl::RemoteKey>& seal_key,
                                   std::time_t now);

// Anchors and CRLs of the archive, by which agents and certificates are judged. What its database
// lost is trusted no longer, and is named in `problems`.
Trust trust_of(Archive& archive);

}  // namespace hsmith::recovery
