// Recovery agents: whether one may be encrypted to, and what its card can do.
#pragma once

#include <ctime>
#include <string>
#include <vector>

#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"
#include "src/recovery/archive.h"

namespace hsmith::recovery {

// What agents are judged by.
struct Trust {
  std::vector<ossl::Certificate> anchors;
  std::vector<ossl::Certificate> untrusted;  // of authorities, each with a path to an anchor
  std::vector<ossl::Crl> crls;
  std::vector<std::string> problems;  // of those that the archive lost, which are left out
};

struct AgentState {
  // "valid", "expired", "not_yet_valid", "revoked", "unverifiable"; "unsuitable": it was never made
  // for that.
  std::string state;
  std::string cause;  // "" when valid

  bool usable() const { return state == "valid"; }
};

// Why nobody may encrypt an archived key to this certificate, whatever the date and the lists say:
// it lacks the purpose ("kra", "caExchange"), or keyEncipherment, is an authority's, or its key is
// not RSA of 2048 bits or more. "" when one may.
std::string unsuitable_because(X509* certificate, const std::string& purpose);

// Whether an anchor, or what leads to one, signed a list.
bool is_signed_by_any(X509_CRL* crl, const Trust& trust);

// Whether a list that one of them signed replaces this one: later, of the same issuer and its key.
bool has_newer_list(X509_CRL* crl, const Trust& trust);

// Purpose 1.3.6.1.4.1.311.21.6, key usage, an RSA key of 2048 bits or more, the path to an anchor,
// validity, a current CRL of each issuer on it, and no CRL of its issuer that revokes it.
AgentState agent_state(X509* certificate, const Trust& trust, std::time_t now);

// The abilities of a key that does what each of them asks for, the best first. Throws mismatch when
// what it decrypts is not what was encrypted: then it is the key of another certificate;
// token_failed when nothing could be tried for the token.
std::vector<std::string> probe_agent(X509* certificate, ossl::RemoteKey& key);

// How a RemoteKey undoes an ability.
ossl::RsaEncryption encryption_of(const std::string& ability);

}  // namespace hsmith::recovery
