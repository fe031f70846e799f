#include "src/recovery/rekey.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <openssl/crypto.h>

#include "src/base/error.h"
#include "src/cms/content_cipher.h"
#include "src/cms/recipient_infos.h"
#include "src/ossl/rsa_encryption.h"
#include "src/recovery/agents.h"
#include "src/recovery/checked_keys.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key_blob.h"
#include "src/recovery/signed_file.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

// So many rows are changed in one transaction.
constexpr std::size_t kBatch = 500;

Bytes content_hash(const Envelope& envelope) {
  Bytes all = cms::der_cipher(envelope.data.cipher);
  const Bytes content = cms::octets_of(envelope.data.content);
  all.insert(all.end(), content.begin(), content.end());
  return sha256_of(all);
}

const cms::Recipient* recipient_named(const Envelope& envelope, X509* certificate) {
  for (const auto& recipient : envelope.data.recipients) {
    if (cms::names(recipient.name, certificate)) return &recipient;
  }
  return nullptr;
}

bool has(const std::vector<Bytes>& agents, ByteView agent) {
  return std::any_of(agents.begin(), agents.end(),
                     [&](const Bytes& there) { return equal(there, agent); });
}

// The place of the first of these that is among a key's agents; their number when none is.
std::size_t first_of(const std::vector<Bytes>& wanted, const std::vector<Bytes>& agents) {
  const auto its = std::find_if(wanted.begin(), wanted.end(),
                                [&](const Bytes& one) { return has(agents, one); });
  return static_cast<std::size_t>(its - wanted.begin());
}

ExportedKey exported_key(const KeyRow& row, X509* from, X509* certificate) {
  const Envelope envelope = read_envelope(row.blob, fmt::format("key {} of the archive", row.id));
  const cms::Recipient* recipient = recipient_named(envelope, from);
  const std::string ability = recipient != nullptr ? ability_of(*recipient) : "";
  if (ability.empty())
    throw Error(Kind::malformed, fmt::format("read key {} of the archive: its blob is not "
                                             "encrypted to the agent that is recorded",
                                             row.id));
  const std::size_t block = envelope.data.cipher.cipher->iv_size;  // in CBC
  const Bytes content = cms::octets_of(envelope.data.content);
  if (content.size() < block)
    throw Error(Kind::malformed, fmt::format("read key {} of the archive: it is empty", row.id));
  return {row.id,
          content_hash(envelope),
          {ability, recipient->encrypted_key},
          cms::der_cipher(envelope.data.cipher),
          to_bytes(ByteView(content).first(block)),
          archived_openings(x509::public_key_of(certificate), block)};
}

// The stream holds a last block back, so that it is given one more.
bool opens(const ExportedKey& key, const cms::CipherSettings& settings, const Secret& content_key) {
  cms::CipherStream stream(cms::CipherStream::Direction::decrypt, settings, content_key);
  Bytes out(4 * cms::kLargestBlock);
  stream.update(key.first_block, out.data());
  const std::size_t size = stream.update(key.first_block, out.data());
  const ByteView block = ByteView(out).first(size);
  const bool good = std::any_of(key.openings.begin(), key.openings.end(),
                                [&](const Bytes& opening) { return equal(opening, block); });
  OPENSSL_cleanse(out.data(), out.size());
  return good;
}

cms::CipherSettings settings_of(const ExportedKey& key) {
  cms::check_ber(key.cipher, "the cipher of a key");
  const auto settings = cms::read_cipher(cms::Reader(key.cipher, "the cipher of a key").next(),
                                         "the cipher of a key");
  if (settings.cipher->authenticated || key.first_block.size() != settings.cipher->iv_size) {
    throw Error(Kind::malformed, "its first block does not fit its cipher");
  }
  return settings;
}

// The content's key, which opens its first block.
Secret content_key_of(const ExportedKey& key, const EncryptedKey& encrypted,
                      ossl::RemoteKey& agent) {
  const cms::CipherSettings settings = settings_of(key);
  ossl::DecryptedKey content_key = agent.decrypt_key(
      encryption_of(encrypted.ability), encrypted.encrypted, settings.cipher->key_size);
  // Both are looked at before anything is said.
  const bool opened = opens(key, settings, content_key.key);
  if (!opened || !content_key.good) throw Error(Kind::mismatch, "its content key does not open it");
  return std::move(content_key.key);
}

// Runs `work` for one key; what is wrong with that key is a failure.
void or_fail(std::int64_t id, std::vector<RekeyFailure>& failures,
             const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    const int status = info(error.kind()).exit_status;
    if (status == 1 || status == 4 || status >= 9) throw;  // not this key's fault
    failures.push_back({id, error.what()});
  }
}

void wrap_one(const ExportedKey& key, const RekeyExport& exported,
              const std::vector<std::size_t>& to, ossl::RemoteKey& agent, RekeyAnswer& answer) {
  const Secret content_key = content_key_of(key, key.content_key, agent);
  for (const std::size_t index : to) {
    X509* certificate = exported.to[index].certificate.get();
    const std::string& ability = exported.to[index].ability;
    answer.keys.push_back(
        {key.id,
         sha256_of(x509::certificate_der(certificate)),
         {ability, ossl::rsa_encrypt(x509::public_key_of(certificate), encryption_of(ability),
                                     content_key.reveal())}});
  }
}

// A key that the card opens and a new agent lacks: there may be millions.
struct ToGive {
  std::int64_t id = 0;
  std::size_t certificate = 0;  // of the card's, to which it is encrypted
};

// `unknown` gets why it is not known of others.
std::vector<ToGive> keys_to_give(Archive& archive, const RekeyFrom& from,
                                 const std::vector<UsableAgent>& to,
                                 std::vector<std::string>& unknown) {
  std::vector<ToGive> keys;
  std::vector<std::string> lost;
  unknown = each_checked_key(archive, [&](const KeyRow& row) {
    const bool lacks = std::any_of(to.begin(), to.end(), [&](const UsableAgent& agent) {
      return !has(row.agents, agent.sha256);
    });
    if (!lacks) return;
    const std::size_t its = first_of(from.certificates, row.agents);
    if (its < from.certificates.size()) {
      keys.push_back({row.id, its});
    } else if (first_of(from.lost, row.agents) < from.lost.size()) {
      lost.push_back(fmt::format("key {}: a certificate of its agents is missing", row.id));
    }
  });
  unknown.insert(unknown.end(), lost.begin(), lost.end());
  return keys;
}

}  // namespace

RekeySelection select_for_rekey(Archive& archive, const RekeyFrom& from,
                                std::vector<UsableAgent> to,
                                const std::function<bool(X509* certificate)>& may_export) {
  RekeySelection selection;
  RekeyExport& exported = selection.exported;
  exported.archive = archive.settings.id;
  exported.from = checked_certificate(archive, from.certificates.front());
  for (const ToGive& key : keys_to_give(archive, from, to, selection.unknown)) {
    const KeyRow row = checked_key(archive, key.id);
    const auto certificate = checked_certificate(archive, row.certificate);
    if (!may_export(certificate.get())) {
      ++selection.left_out;
    } else if (exported.keys.size() == kMostRekeyed) {
      ++selection.left;
    } else {
      const auto named = checked_certificate(archive, from.certificates[key.certificate]);
      exported.keys.push_back(exported_key(row, named.get(), certificate.get()));
    }
  }
  if (exported.keys.empty()) return selection;
  selection.number = new_challenge();
  exported.challenge.ability = exported.keys.front().content_key.ability;
  exported.challenge.encrypted =
      ossl::rsa_encrypt(x509::public_key_of(exported.from.get()),
                        encryption_of(exported.challenge.ability), selection.number.reveal());
  for (UsableAgent& agent : to)
    exported.to.push_back({std::move(agent.certificate), std::move(agent.ability)});
  return selection;
}

Wrapping wrap_to(const RekeyExport& exported, Bytes file, const std::vector<std::size_t>& to,
                 ossl::RemoteKey& agent) {
  const ossl::DecryptedKey number = agent.decrypt_key(encryption_of(exported.challenge.ability),
                                                      exported.challenge.encrypted, kChallenge);
  if (!number.good) {
    throw Error(Kind::mismatch,
                "wrap content keys: the agent's key does not open what was encrypted to it");
  }
  Wrapping wrapping;
  wrapping.answer.exported = std::move(file);
  for (const ExportedKey& key : exported.keys) {
    or_fail(key.id, wrapping.failures,
            [&] { wrap_one(key, exported, to, agent, wrapping.answer); });
  }
  wrapping.mac = challenge_mac(number.key, rekey_answer_text(wrapping.answer));
  return wrapping;
}

std::vector<RekeyFailure> check_wrapped(const RekeyExport& exported, const RekeyAnswer& answer,
                                        X509* certificate, ossl::RemoteKey& agent,
                                        std::size_t& good) {
  const Bytes sha256 = sha256_of(x509::certificate_der(certificate));
  std::map<std::int64_t, const ExportedKey*> keys;
  for (const ExportedKey& key : exported.keys) keys[key.id] = &key;
  std::vector<RekeyFailure> failures;
  for (const WrappedKey& wrapped : answer.keys) {
    if (!equal(wrapped.to, sha256)) continue;
    or_fail(wrapped.id, failures, [&] {
      const auto its = keys.find(wrapped.id);
      if (its == keys.end()) throw Error(Kind::mismatch, "it was not exported, or is there twice");
      const ExportedKey& key = *its->second;
      keys.erase(its);
      content_key_of(key, wrapped.content_key, agent);
      ++good;
    });
  }
  for (const auto& [id, key] : keys) failures.push_back({id, "it was not wrapped to this agent"});
  return failures;
}

namespace {

struct Apply {
  Archive& archive;
  const std::vector<UsableAgent>& to;
  const std::function<bool(X509* certificate)>& may_export;
  Application application;
};

const UsableAgent& agent_of(const Apply& apply, ByteView sha256) {
  for (const UsableAgent& agent : apply.to) {
    if (equal(agent.sha256, sha256)) return agent;
  }
  throw Error(Kind::refused, "it is wrapped to somebody who is no valid agent of this archive");
}

// The recipient info is made here: of what came back only the encrypted number is taken.
Bytes info_of(const UsableAgent& agent, const EncryptedKey& key) {
  EVP_PKEY* half = x509::public_key_of(agent.certificate.get());
  if (key.ability != agent.ability)
    throw Error(Kind::refused, "it is wrapped in another way than the new agent's card opens best");
  if (key.encrypted.size() != static_cast<std::size_t>(EVP_PKEY_get_size(half)))
    throw Error(Kind::malformed, "its wrapped key is not as long as the new agent's key");
  return cms::transport_info(agent.certificate.get(), encryption_of(key.ability),
                             ByteView(key.encrypted));
}

// The row with more agents; nullopt when it has them all.
std::optional<KeyRow> row_with(Apply& apply, const ExportedKey& exported,
                               const std::vector<const WrappedKey*>& wrapped) {
  KeyRow row = checked_key(apply.archive, exported.id);
  if (!apply.may_export(checked_certificate(apply.archive, row.certificate).get()))
    throw Error(Kind::refused, "it is none of those that the officer of the export may give out");
  const std::string name = fmt::format("key {} of the archive", row.id);
  const Envelope before = read_envelope(row.blob, name);
  if (!equal(content_hash(before), exported.content))
    throw Error(Kind::mismatch, "its blob is not the one that was exported");
  std::vector<Bytes> infos;
  for (const WrappedKey* key : wrapped) {
    const UsableAgent& agent = agent_of(apply, key->to);
    if (has(row.agents, agent.sha256)) {
      const cms::Recipient* there = recipient_named(before, agent.certificate.get());
      const bool same = there && equal(there->encrypted_key, key->content_key.encrypted);
      if (!same) ++apply.application.others;
      continue;
    }
    infos.push_back(info_of(agent, key->content_key));
    row.agents.push_back(agent.sha256);
  }
  if (infos.empty()) return std::nullopt;
  std::sort(row.agents.begin(), row.agents.end());
  row.blob = cms::with_recipients(row.blob, std::move(infos), name);
  if (row.blob.size() > kMostBlob) throw Error(Kind::refused, "its blob would be too large");
  const Envelope now = read_envelope(row.blob, name);
  if (!equal(content_hash(now), exported.content) ||
      now.data.recipients.size() != row.agents.size()) {
    throw Error(Kind::internal, "its blob is not what it should have become");
  }
  return row;
}

}  // namespace

Application apply_rekey(Archive& archive, const RekeyExport& exported, const RekeyAnswer& answer,
                        const std::vector<UsableAgent>& to,
                        const std::function<bool(X509* certificate)>& may_export,
                        const std::shared_ptr<ossl::RemoteKey>& seal_key, std::time_t now) {
  Apply apply{archive, to, may_export, {}};
  std::map<std::int64_t, std::vector<const WrappedKey*>> wrapped;
  for (const WrappedKey& key : answer.keys) wrapped[key.id].push_back(&key);
  auto at = exported.keys.begin();
  while (at != exported.keys.end()) {
    const auto change = archive.store->change();  // rows are read under its lock
    ArchiveChange what;
    for (; at != exported.keys.end() && what.rewrapped.size() < kBatch; ++at) {
      const auto its = wrapped.find(at->id);
      if (its == wrapped.end()) continue;
      or_fail(at->id, apply.application.failures, [&] {
        auto row = row_with(apply, *at, its->second);
        if (row) {
          what.rewrapped.push_back(std::move(*row));
        } else {
          ++apply.application.already;
        }
      });
      wrapped.erase(its);
    }
    if (what.rewrapped.empty()) continue;
    apply.application.keys += what.rewrapped.size();
    commit_change(archive, *change, std::move(what), seal_key, now);
  }
  for (const auto& [id, keys] : wrapped)
    apply.application.failures.push_back({id, "it was not exported, or is there twice"});
  return std::move(apply.application);
}

}  // namespace hsmith::recovery
