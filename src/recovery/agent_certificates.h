// Certificates of an archive that its database may have lost: what does not need them works on.
// Nothing of hsmith deletes one that was ever used.
#pragma once

#include <string>
#include <vector>

#include "src/recovery/agents.h"
#include "src/recovery/envelope.h"

namespace hsmith::recovery {

// Those of these certificates that are there; why the others are not, each named by its SHA-256.
struct KnownCertificates {
  std::vector<ossl::Certificate> certificates;
  std::vector<std::string> problems;
};
// Throws when the database itself fails.
KnownCertificates known_certificates(Archive& archive, const std::vector<Bytes>& hashes);

struct AgentCertificate {
  Bytes sha256;
  ossl::Certificate certificate;  // null where it is missing, or is not what it was
  std::string problem;            // why
};
// Throws when the database itself fails.
AgentCertificate agent_certificate(Archive& archive, ByteView sha256);
// Its subject; without a certificate "agent 1b4ab7c0d1e2f304", the start of its SHA-256.
std::string name_of(const AgentCertificate& agent);
// As agent_state() of agents.h; "missing" without a certificate.
AgentState agent_state(const AgentCertificate& agent, const Trust& trust, std::time_t now);

// Who can open a key. Where a certificate is missing, the blob has the issuer and serial number, or
// the key identifier.
struct KeyAgents {
  std::vector<ossl::Certificate> known;
  Envelope envelope;                           // read when one is missing only
  std::vector<const cms::Recipient*> unknown;  // of the envelope
};
KeyAgents agents_of(Archive& archive, const KeyRow& key);

}  // namespace hsmith::recovery
