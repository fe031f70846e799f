// The way to an archive: where it is, its pinned seal certificate, and the key that seals changes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/recovery/agent_certificates.h"
#include "src/recovery/archive.h"
#include "src/recovery/archiving.h"
#include "src/recovery/store_place.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct ArchiveOptions {
  std::optional<std::string> url;
  std::optional<std::string> seal_key;
};
// --archive URL; for commands that change it, --seal-key KEY too.
void add_archive_option(Arguments& command, ArchiveOptions& options);
void add_archive_change_options(Arguments& command, ArchiveOptions& options);

// Where the archive is. Throws usage for another URL.
recovery::StorePlace archive_place(const Context& context, const ArchiveOptions& options);
// The same for what destroys: the archive must be named on the command line. Throws usage.
void require_named_archive(const Context& context, const ArchiveOptions& options);

// Where the seal key's certificate is pinned: [archive] seal_cert, else archive-seal.pem in the
// state folder.
std::filesystem::path seal_certificate_file(const Context& context);

// Opens it and verifies seals and settings. A state that is older than one that this user has seen
// is refused as a rollback.
recovery::Archive open_archive(Context& context, const ArchiveOptions& options,
                               recovery::StoreMode mode);
// Throws refused when the archive lacks a seal that this user has seen in it.
void refuse_rollback(const Context& context, recovery::Archive& archive);
// Reads the pinned certificate.
ossl::Certificate pinned_seal_certificate(const Context& context);
// Takes note of the newest seal, for the next open_archive; where a newer one is noted, that stays.
void remember_archive(const Context& context, const recovery::Archive& archive);
// For commands that only read: where the note cannot be taken they warn, and are good all the same.
void remember_what_was_read(Context& context, const recovery::Archive& archive);
// Takes note of the newest seal in the place of any: of an archive that was put back.
void remember_restored(const Context& context, const recovery::Archive& archive);

// The key that seals, on its token; found by the pinned certificate's public key.
struct SealKey {
  tokens::OpenToken token;
  std::shared_ptr<ossl::RemoteKey> key;
};
SealKey open_seal_key(Context& context, const ArchiveOptions& options, X509* seal_certificate);

// The archive's anchors and CRLs, those of [trust] crls, and the anchors' cross-certificates that
// are here; warns of what the archive lost.
recovery::Trust trust_of(Context& context, recovery::Archive& archive);

// Announces a change in the audit log, makes it, and closes the entry. The store's transaction is
// its own journal: it has happened, or nothing has.
void in_audit(Context& context, const std::string& archive, const Json& facts,
              const std::function<void()>& work);

// Puts an attempt at the archive or at an archived key that failed before anything was announced on
// record: who asked is as important as who got. For other commands it does nothing.
void record_refusal(Context& context, const Error& error);

// Changes settings: sealed, committed, read again.
void change_settings(Context& context, const ArchiveOptions& options, recovery::Archive& archive,
                     recovery::ArchiveChange change, const Json& facts);

// One agent with its state, for kra list and others. Without the certificate its hash stands alone.
Json agent_json(X509* certificate, const std::vector<std::string>& abilities,
                const recovery::AgentState& state);
Json agent_json(const recovery::AgentCertificate& agent, const std::vector<std::string>& abilities,
                const recovery::AgentState& state);

}  // namespace hsmith::cli
