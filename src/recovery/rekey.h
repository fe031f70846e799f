// More agents for archived keys. The officer gives out the encrypted content keys, never a blob; an
// agent's card decrypts them and encrypts them to the new agents, without opening a key; what comes
// back goes into the blobs, whose encrypted content stays as it is.
#pragma once

#include <ctime>
#include <functional>
#include <memory>

#include "src/base/secret.h"
#include "src/recovery/archive.h"
#include "src/recovery/archiving.h"
#include "src/recovery/rekey_files.h"

namespace hsmith::recovery {

// The card that shall do it, by the SHA-256 of certificates.
struct RekeyFrom {
  std::vector<Bytes> certificates;  // each that its key had; the first one is who answers
  std::vector<Bytes> lost;          // of agents, which the database lost: they may be its, too
};

struct RekeySelection {
  RekeyExport exported;
  Secret number;                     // what the challenge holds
  std::size_t left_out = 0;          // keys that the officer may not export
  std::size_t left = 0;              // keys beyond the most that one file takes
  std::vector<std::string> unknown;  // why it is not known of others whether the card opens them
};

// Of the keys that the card opens those that one of the new agents does not open yet. `may_export`
// is asked for each.
RekeySelection select_for_rekey(Archive& archive, const RekeyFrom& from,
                                std::vector<UsableAgent> to,
                                const std::function<bool(X509* certificate)>& may_export);

// One key that was not wrapped, or not put in.
struct RekeyFailure {
  std::int64_t id = 0;
  std::string cause;
};

struct Wrapping {
  RekeyAnswer answer;
  Bytes mac;  // of the answer's text
  std::vector<RekeyFailure> failures;
};
// At the agent's place: `agent` is the key of `exported.from`, `to` are indices into `exported.to`.
// Each content key is tried on the content's first block: one that does not open it is a failure,
// and goes to nobody. Throws mismatch when the challenge does not open: it is another agent's key.
Wrapping wrap_to(const RekeyExport& exported, Bytes file, const std::vector<std::size_t>& to,
                 ossl::RemoteKey& agent);

// At a new agent's place: tries each key that was wrapped to the certificate on its content's first
// block. `good` counts those that open it; exported keys that were not wrapped to it are failures.
std::vector<RekeyFailure> check_wrapped(const RekeyExport& exported, const RekeyAnswer& answer,
                                        X509* certificate, ossl::RemoteKey& agent,
                                        std::size_t& good);

struct Application {
  std::size_t keys = 0;     // that have more agents now
  std::size_t already = 0;  // that had them before
  std::size_t others = 0;   // wrapped keys for agents that have another one, which stays
  std::vector<RekeyFailure> failures;
};
// Puts the answer into the archive, in transactions of some hundred keys: only to agents of the
// archive that are valid now, only by an ability that they have, only where the blob has the
// content that was exported, and only keys that the officer of the export may give out: who
// signed it may have written it by hand. Old recipients stay. Whether a wrapped key is the right
// one nobody can tell without the new agent's card.
Application apply_rekey(Archive& archive, const RekeyExport& exported, const RekeyAnswer& answer,
                        const std::vector<UsableAgent>& to,
                        const std::function<bool(X509* certificate)>& may_export,
                        const std::shared_ptr<ossl::RemoteKey>& seal_key, std::time_t now);

}  // namespace hsmith::recovery
