#include "cli/recovery_blobs.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fmt/format.h>
#include <set>

#include "cli/agents.h"
#include "cli/changes.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/recovery/cmc.h"
#include "src/recovery/receipt.h"
#include "src/x509/certificate.h"
#include "tokens/matching.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

// The certificate that a recipient is shown by; nullptr when none came with the blob.
X509* shown_certificate(const recovery::RecoveryBlob& blob, const cms::Recipient& recipient) {
  const auto all = recovery::certificates_of(blob, recipient);
  return all.empty() ? nullptr : all.front();
}

Json agents_json(const recovery::RecoveryBlob& blob) {
  Json agents = Json::array();
  for (const auto& recipient : blob.envelope.data.recipients) {
    X509* certificate = shown_certificate(blob, recipient);
    Json agent{{"encryption", recovery::ability_of(recipient)}};
    if (certificate != nullptr) {
      const auto facts = x509::certificate_facts(certificate);
      agent["subject"] = json_text(facts.subject);
      agent["serial"] = facts.serial;
      agent["sha256"] = facts.sha256;
    } else if (!recipient.name.issuer.empty()) {
      agent["issuer"] = json_text(cms::issuer_text(recipient));
      agent["serial"] = hex(recipient.name.serial);
    }
    agents.push_back(std::move(agent));
  }
  return agents;
}

std::vector<std::string> agent_names(const recovery::RecoveryBlob& blob) {
  std::vector<std::string> names;
  for (const auto& recipient : blob.envelope.data.recipients) {
    X509* certificate = shown_certificate(blob, recipient);
    names.push_back(certificate != nullptr ? agent_text(certificate)
                                           : cms::recipient_text(recipient));
  }
  return names;
}

const tokens::Key* key_of(const tokens::Inventory& inventory, X509* certificate) {
  const auto keys = tokens::keys_with(inventory, x509::public_key_of(certificate));
  return keys.empty() ? nullptr : keys.front();
}

// Those on the token that have the recipient's name. What is no certificate there is passed over.
std::vector<ossl::Certificate> certificates_on_token(const cms::Recipient& recipient,
                                                     const tokens::Inventory& inventory) {
  std::vector<ossl::Certificate> all;
  for (const auto& there : inventory.certificates) {
    try {
      auto parsed = x509::certificate_from_der(there.der, there.uri);
      if (cms::names(recipient.name, parsed.get())) all.push_back(std::move(parsed));
    } catch (const Error& error) {
      if (error.kind() != Kind::malformed) throw;
    }
  }
  return all;
}

// All that a recipient may be, with the key where it is on the token: a certificate that came with
// the blob has the agent's name, and may be anybody's. One without a certificate when there is
// none.
std::vector<AgentMatch> matches_of(const BlobFile& input, const cms::Recipient& recipient,
                                   const tokens::Inventory& inventory) {
  std::vector<AgentMatch> matches;
  bool is_there = false;
  for (X509* known : recovery::certificates_of(input.blob, recipient)) {
    matches.push_back({&input, {&recipient}, key_of(inventory, known), ossl::share(known)});
    is_there |= matches.back().key != nullptr;
  }
  if (!is_there) {
    for (auto& certificate : certificates_on_token(recipient, inventory)) {
      const tokens::Key* key = key_of(inventory, certificate.get());
      matches.push_back({&input, {&recipient}, key, std::move(certificate)});
    }
  }
  if (matches.empty()) matches.push_back({&input, {&recipient}, nullptr, nullptr});
  return matches;
}

// Leaves the one agent that is asked for.
void choose(std::vector<AgentMatch>& agents, const RecipientChoice& choice, const BlobFile& input) {
  if (choice.number == 0 && choice.thumbprint.empty()) return;
  const auto& recipients = input.blob.envelope.data.recipients;
  std::erase_if(agents, [&](const AgentMatch& agent) {
    if (choice.number != 0)
      return choice.number > recipients.size() ||
             agent.recipients.front() != &recipients[choice.number - 1];
    return agent.certificate == nullptr ||
           !has_thumbprint(agent.certificate.get(), choice.thumbprint);
  });
  std::set<const cms::Recipient*> chosen;
  for (const AgentMatch& agent : agents) chosen.insert(agent.recipients.front());
  if (chosen.size() == 1) return;
  throw Error(chosen.empty() ? Kind::not_found : Kind::ambiguous,
              fmt::format("recover from {}: {} of its agents are the one that --recipient names",
                          quoted(input.file), chosen.size()))
      .hint("they have numbers: hsmith recover --show " + shell_word(input.file))
      .candidates(agent_names(input.blob));
}

// The first, with the recipients of all that have its key.
AgentMatch with_all_recipients(std::vector<AgentMatch> agents) {
  AgentMatch agent = std::move(agents.front());
  for (std::size_t i = 1; i < agents.size(); ++i) {
    const cms::Recipient* recipient = agents[i].recipients.front();
    const auto known = std::find(agent.recipients.begin(), agent.recipients.end(), recipient);
    if (agents[i].key == agent.key && known == agent.recipients.end())
      agent.recipients.push_back(recipient);
  }
  return agent;
}

}  // namespace

bool or_failed(Failures& failures, const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    const bool of_one = error.exit_status() != info(Kind::pin_incorrect).exit_status &&
                        error.kind() != Kind::token_removed;
    if (failures.all_or_nothing || !of_one) throw;
    failures.errors.push_back(error);
    return false;
  }
}

std::vector<BlobFile> read_blobs(const std::vector<std::string>& files, Failures& failures) {
  std::vector<BlobFile> inputs;
  for (const std::string& file : files) {
    or_failed(failures, [&] {
      const Bytes content = read_file(file);
      const Bytes der = recovery::cmc_of(content, quoted(file));
      inputs.push_back({file, recovery::read_blob(der.empty() ? content : der, file), ""});
    });
  }
  return inputs;
}

Outcome show_blobs(const std::vector<BlobFile>& blobs) {
  Outcome outcome;
  outcome.data["blobs"] = Json::array();
  for (const BlobFile& input : blobs) {
    const auto facts = x509::certificate_facts(input.blob.user.get());
    Json json{{"file", json_text(input.file)},    {"subject", json_text(facts.subject)},
              {"serial", facts.serial},           {"not_after", rfc3339(facts.not_after)},
              {"sha256", facts.sha256},           {"officer", json_text(input.blob.signer)},
              {"agents", agents_json(input.blob)}};
    if (!input.blob.compromised.empty()) json["compromised"] = input.blob.compromised;
    outcome.data["blobs"].push_back(std::move(json));
    outcome.text += fmt::format("{}: the key of {}, serial {}, until {}\n  signed by {}\n",
                                printable(input.file), facts.subject, facts.serial,
                                rfc3339(facts.not_after), input.blob.signer);
    if (!input.blob.compromised.empty())
      outcome.text += fmt::format("  COMPROMISED; given out for: {}\n", input.blob.compromised);
    int number = 0;
    for (const std::string& name : agent_names(input.blob))
      outcome.text += fmt::format("  {}. agent {}\n", ++number, name);
  }
  return outcome;
}

RecipientChoice parse_recipient(const std::string& text) {
  if (const auto digits = thumbprint_start(text)) return {0, *digits};
  std::size_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && rest == text.data() + text.size() && number > 0) return {number, ""};
  throw Error(Kind::usage, fmt::format("--recipient {}: expected a number from 1, or 8 and more "
                                       "digits of a thumbprint",
                                       quoted(text)));
}

AgentMatch match_agent(const BlobFile& input, const RecipientChoice& choice,
                       const tokens::OpenToken& token, const tokens::Inventory& inventory) {
  std::vector<AgentMatch> chosen;
  for (const auto& recipient : input.blob.envelope.data.recipients) {
    for (AgentMatch& match : matches_of(input, recipient, inventory))
      chosen.push_back(std::move(match));
  }
  choose(chosen, choice, input);
  std::erase_if(chosen, [](const AgentMatch& agent) { return agent.key == nullptr; });
  if (!chosen.empty()) return with_all_recipients(std::move(chosen));
  throw Error(Kind::not_found, fmt::format("recover from {}: no key on the token {} can open it",
                                           quoted(input.file), quoted(token.info.label)))
      .hint("the agents that can: hsmith recover --show " + shell_word(input.file))
      .candidates(agent_names(input.blob));
}

namespace {

// One receipt has one agent: the one that opened the first blob.
Bytes make_receipt(std::span<const AgentMatch* const> agents, const tokens::OpenToken& token,
                   const std::string& to) {
  const AgentMatch& agent = *agents.front();
  recovery::Receipt receipt;
  receipt.time = rfc3339(std::time(nullptr));
  receipt.agent = recovery::sha256_of(x509::certificate_der(agent.certificate.get()));
  receipt.token = printable(fmt::format("{} {}", token.info.label, token.info.serial));
  receipt.to = to;
  for (const AgentMatch* one : agents)
    receipt.entries.push_back(recovery::receipt_entry(one->input->blob));
  const std::string text = recovery::receipt_text(receipt);
  std::vector<Bytes> macs;
  for (const AgentMatch* one : agents) {
    const auto key = tokens::remote_key(token, *one->key);
    Bytes mac = recovery::receipt_mac(one->input->blob, one->certificate.get(), *key, text);
    if (!mac.empty()) macs.push_back(std::move(mac));
  }
  const recovery::FileSigner signer{tokens::remote_key(token, *agent.key), agent.certificate.get()};
  return recovery::write_agent_file(text, macs, agent.key->sign == true ? &signer : nullptr);
}

// All are on the disk before the first one is opened.
void announce(std::span<const AgentMatch> agents, const tokens::OpenToken& token,
              const std::string& to, Context& context) {
  for (const AgentMatch& agent : agents) {
    const bool last = &agent == &agents.back();
    record(context,
           {{"event", "recover"},
            {"token", json_text(token.info.label)},
            {"serial", json_text(token.info.serial)},
            {"blob", hex(agent.input->blob.sha256)},
            {"certificate", x509::certificate_sha256(agent.input->blob.user.get())},
            {"to", json_text(to)}},
           last ? audit::Flush::yes : audit::Flush::no);
  }
}

// By the recipient that the agent is: what comes out proves itself.
ossl::PKey open_blob(const AgentMatch& agent, ossl::RemoteKey& key) {
  const BlobFile& input = *agent.input;
  for (const cms::Recipient* recipient : agent.recipients) {
    try {
      return recovery::open_blob(input.blob, *recipient, key, input.file);
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch || recipient == agent.recipients.back()) throw;
    }
  }
  throw Error(Kind::internal, "open a blob: it has no recipient");
}

}  // namespace

OpenedBlobs open_blobs(std::span<const AgentMatch> agents, const tokens::OpenToken& token,
                       bool with_receipt, const std::string& to, Failures& failures,
                       Context& context) {
  announce(agents, token, to, context);
  OpenedBlobs opened;
  std::vector<const AgentMatch*> done;
  for (const AgentMatch& agent : agents) {
    or_failed(failures, [&] {
      const auto key = tokens::remote_key(token, *agent.key);
      opened.keys.push_back({agent.input, open_blob(agent, *key)});
      done.push_back(&agent);
    });
  }
  if (with_receipt && !done.empty()) opened.receipt = make_receipt(done, token, to);
  return opened;
}

}  // namespace hsmith::cli
