// What a token really does, found out with session keys and verified outside of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/ossl/remote_key.h"
#include "tokens/child_process.h"
#include "tokens/keys.h"
#include "tokens/session_objects.h"
#include "tokens/templates.h"

namespace hsmith::tokens {

enum class ProbeState { works, absent, failed, wrong };
// "works", "absent", "failed", "wrong".
const char* probe_state_name(ProbeState state);

// One thing that was tried.
struct ProbeRow {
  std::string what;  // "sign rsa:2048 pss sha256"
  ProbeState state = ProbeState::absent;
  std::string ckr;       // the token's answer when it did not do it
  std::string fallback;  // where it does not work: what hsmith does instead, or what follows
  std::string detail;    // where it works, or empty
};

// What is tried, and where; each row is said before it is tried.
struct Probe {
  const OpenToken& token;
  SessionObjects& objects;
  const Say& say;
};

// Makes a row of `work`, which says whether its result was right. An error is absent when it says
// that the token lacks the operation, else failed; when the token is gone it is thrown again.
ProbeRow probe_row(const Probe& probe, const std::string& what, const std::string& fallback,
                   const std::function<bool()>& work);

// A key pair that ends with the session, and the way to use it. Throws what the token answers.
struct SessionPair {
  Key key;
  std::shared_ptr<ossl::RemoteKey> remote;
};
SessionPair make_session_pair(const Probe& probe, const char* type, std::set<Use> uses);

// Whether the token makes session keys: a secret one is tried first, for a card that makes lasting
// key pairs whatever is asked refuses that. The row of the matrix; nothing else may be tried unless
// it works.
ProbeRow probe_session_keys(const Probe& probe);
// Every operation that hsmith uses, tried.
std::vector<ProbeRow> probe_matrix(const Probe& probe);
// The whole of a backup (backup.h) with session keys: under a wrapping key that nobody trusts, and
// under each of the security officer's that is there.
std::vector<ProbeRow> probe_backup(const Probe& probe);

}  // namespace hsmith::tokens
