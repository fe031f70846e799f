// An archive looked at as a whole.
#include <fmt/format.h>
#include <set>

#include "src/base/error.h"
#include "src/recovery/envelope.h"
#include "src/recovery/seal.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

// What the seals, one after the other, say that must be there.
struct Expected {
  struct Key {
    std::int64_t seal = 0;
    SealedKey sealed;
  };
  std::map<std::int64_t, Key> keys;
  std::set<Bytes> objects;
  std::set<Bytes> brought;  // may be there: a chain's, whose key was archived anew with another one
};

void note_objects(Expected& expected, const Settings& settings) {
  for (const Agent& agent : settings.agents) expected.objects.insert(agent.certificate);
  for (const Officer& officer : settings.officers) expected.objects.insert(officer.certificate);
  expected.objects.insert(settings.anchors.begin(), settings.anchors.end());
  expected.objects.insert(settings.crls.begin(), settings.crls.end());
}

void read_seal_row(Archive& archive, const SealRow& row, const std::string& previous,
                   Expected& expected, std::vector<std::string>& problems) {
  const Seal seal = checked_seal(archive, row);
  for (const auto& [id, sealed] : seal.keys) {
    // No key gets a number that another one had: it would cover that the first was taken away.
    if (sealed.is_new && expected.keys.contains(id))
      problems.push_back(fmt::format("key {}: another one was sealed under this number", id));
    expected.keys[id] = {row.number, sealed};
  }
  if (seal.settings) note_objects(expected, *seal.settings);
  expected.brought.insert(seal.objects.begin(), seal.objects.end());
  if (seal.previous != previous) {
    throw Error(Kind::mismatch,
                fmt::format("seal {} does not follow the one before it", row.number));
  }
}

Expected read_seals(Archive& archive, std::vector<std::string>& problems) {
  Expected expected;
  std::string previous;
  std::int64_t next = 1;
  archive.store->each_seal([&](const SealRow& row) {
    if (row.number < next || row.number > archive.last_seal) {
      problems.push_back(fmt::format("seal {}: no other seal leads to it", row.number));
      return;
    }
    for (; next < row.number; ++next) {
      problems.push_back(fmt::format("seal {} is missing", next));
      previous.clear();
    }
    try {
      read_seal_row(archive, row, previous, expected, problems);
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
    previous = hex(sha256_of(row.content));
    ++next;
  });
  if (previous != archive.last_hash) problems.emplace_back("the last seal was changed meanwhile");
  return expected;
}

bool is_sealed(const Expected& expected, const KeyRow& key) {
  const auto known = expected.keys.find(key.id);
  return known != expected.keys.end() && known->second.seal == key.seal &&
         known->second.sealed.fingerprint == fingerprint(key);
}

// The rows that were read.
struct Seen {
  std::set<std::int64_t> ids;
  std::set<Bytes> whole;  // certificates of those that are what was sealed
};

// Gives `take` every row with its terms. Where one cannot be read, those that the seals know come
// one by one, and what is wrong with it is a problem of its own.
void each_readable_key(Archive& archive, const Expected& expected, Seen& seen,
                       std::vector<std::string>& problems, const Store::TakeKey& take) {
  std::string unreadable;
  try {
    return archive.store->each_key_with_terms(take);
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    unreadable = error.what();
  }
  bool is_named = false;
  for (const auto& [id, known] : expected.keys) {
    if (!seen.ids.insert(id).second) continue;
    try {
      if (const auto key = archive.store->key(id)) {
        take(*key, archive.store->terms(id));
      } else {
        seen.ids.erase(id);
      }
    } catch (const Error& error) {
      if (error.kind() != Kind::malformed) throw;
      problems.push_back(fmt::format("key {}: {}", id, error.what()));
      is_named = true;
    }
  }
  if (!is_named) problems.push_back("a key that no seal knows: " + unreadable);
}

// A key whose row is gone is lost, unless it was archived anew under another number.
void find_lost(const Expected& expected, const Seen& seen, std::vector<std::string>& problems) {
  for (const auto& [id, known] : expected.keys) {
    if (!seen.ids.contains(id) && !seen.whole.contains(known.sealed.certificate))
      problems.push_back(fmt::format("key {} is missing", id));
  }
}

std::string problem_of(Archive& archive, const Expected& expected, Seen& seen, const KeyRow& key,
                       std::vector<Term> terms) {
  if (!expected.keys.contains(key.id)) return "no seal knows it";
  if (!is_sealed(expected, key)) return "it is not what was sealed";
  seen.whole.insert(key.certificate);
  const auto certificate = archive.store->object(key.certificate);
  if (!certificate) return "its certificate is missing";
  const auto parsed = x509::certificate_from_der(*certificate, "its certificate");
  std::sort(terms.begin(), terms.end());
  if (terms != terms_of(parsed.get()))
    return "what it is found by is not what its certificate says";
  const std::size_t recipients = read_envelope(key.blob, "its blob").data.recipients.size();
  if (recipients != key.agents.size())
    return fmt::format("its blob has {} recipients, and {} agents are recorded", recipients,
                       key.agents.size());
  return "";
}

}  // namespace

std::vector<std::string> verify_archive(Archive& archive, ArchiveCounts& counts) {
  std::vector<std::string> problems;
  const std::string damaged = archive.store->integrity_problem();
  if (!damaged.empty()) problems.push_back("the database: " + damaged);
  try {
    archive.store->cursor();  // no seal covers it, and without it nothing is archived
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
  Expected expected = read_seals(archive, problems);
  counts.seals = static_cast<std::size_t>(archive.last_seal);
  Seen seen;
  const auto look = [&](const KeyRow& key, const std::vector<Term>& terms) {
    ++counts.keys;
    seen.ids.insert(key.id);
    expected.objects.insert(key.certificate);
    expected.objects.insert(key.chain.begin(), key.chain.end());
    expected.objects.insert(key.agents.begin(), key.agents.end());
    try {
      const std::string problem = problem_of(archive, expected, seen, key, terms);
      if (!problem.empty()) problems.push_back(fmt::format("key {}: {}", key.id, problem));
    } catch (const Error& error) {
      problems.push_back(fmt::format("key {}: {}", key.id, error.what()));
    }
  };
  each_readable_key(archive, expected, seen, problems, look);
  find_lost(expected, seen, problems);
  archive.store->each_object([&](ByteView sha256, ByteView der) {
    ++counts.objects;
    const Bytes hash = to_bytes(sha256);
    if (expected.objects.erase(hash) == 0 && !expected.brought.contains(hash))
      problems.push_back(fmt::format("certificate {}: no seal and no key knows it", hex(sha256)));
    if (!equal(sha256_of(der), sha256))
      problems.push_back(fmt::format("certificate {}: it was changed", hex(sha256)));
  });
  for (const Bytes& missing : expected.objects)
    problems.push_back(fmt::format("certificate {}: it is missing", hex(missing)));
  return problems;
}

}  // namespace hsmith::recovery
