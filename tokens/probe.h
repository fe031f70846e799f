// What a token really does, found out with session keys and verified outside of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/ossl/remote_key.h"
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

// Makes a row of `work`, which says whether its result was right. An error is absent when it says
// that the token lacks the operation, else failed; when the token is gone it is thrown again.
ProbeRow probe_row(const std::string& what, const std::string& fallback,
                   const std::function<bool()>& work);

// A key pair that ends with the session, and the way to use it. Throws what the token answers.
struct SessionPair {
  Key key;
  std::shared_ptr<ossl::RemoteKey> remote;
};
SessionPair make_session_pair(const OpenToken& token, const char* type, std::set<Use> uses,
                              SessionObjects& objects);

// Whether the token makes session keys: a secret one is tried first, for a card that makes lasting
// key pairs whatever is asked refuses that. The row of the matrix; nothing else may be tried unless
// it works.
ProbeRow probe_session_keys(const OpenToken& token, SessionObjects& objects);
// Every operation that hsmith uses, tried.
std::vector<ProbeRow> probe_matrix(const OpenToken& token, SessionObjects& objects);
// Wrapping and unwrapping, and whether what is unwrapped is protected as it is asked to be.
std::vector<ProbeRow> probe_backup(const OpenToken& token, SessionObjects& objects);

}  // namespace hsmith::tokens
