// Agents of an archive as commands name and show them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/archive_access.h"

namespace hsmith::cli {

// Exactly one of these agents (SHA-256 of their certificates): by the start of that hash, 8 digits
// or more, or by its certificate's subject. Throws not_found, ambiguous.
Bytes find_agent(recovery::Archive& archive, const std::vector<Bytes>& agents,
                 const std::string& id);
// Whether find_agent() takes this id for the agent's.
bool is_named(const recovery::AgentCertificate& agent, const std::string& id);
// Those of its settings.
std::vector<Bytes> agents_of(const recovery::Archive& archive);

// Those of its settings, and those that any key is encrypted to: who was removed still opens these.
// Which agents a row that was edited had nobody knows: where there is one, all that were ever in
// the settings. Where the seals do not say these either, why not goes into `problems`.
std::set<Bytes> agents_ever(recovery::Archive& archive, std::vector<std::string>& problems);

// The start of a thumbprint as people copy it, with spaces and colons or without: 8 hex digits or
// more, in lower case. nullopt for anything else.
std::optional<std::string> thumbprint_start(const std::string& text);
// Whether a certificate's SHA-1 or SHA-256 starts so.
bool has_thumbprint(X509* certificate, const std::string& start);

// Warns where the settings choose agents in turn and always the same groups of them.
void warn_of_groups(const recovery::Settings& settings, Context& context);

// "CN=Agent 2 (1b4ab7c0d1e2f304)".
std::string agent_text(X509* certificate);
// Without a certificate: "agent 1b4ab7c0d1e2f304".
std::string agent_text(const recovery::AgentCertificate& agent);

}  // namespace hsmith::cli
