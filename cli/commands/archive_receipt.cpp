// hsmith archive receipt: an agent's receipt, verified and entered into the audit log.
#include <algorithm>
#include <fmt/format.h>

#include "cli/agent_cards.h"
#include "cli/agents.h"
#include "cli/archive_access.h"
#include "cli/challenges.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/receipt.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string file;
};

// The subject and the serial number of the archive's certificate, whatever the agent wrote. False
// when the archive does not have it.
bool take_names(recovery::Archive& archive, recovery::ReceiptEntry& entry) {
  try {
    const auto certificate = recovery::checked_certificate(archive, entry.certificate);
    const auto facts = x509::certificate_facts(certificate.get());
    entry.subject = facts.subject;
    entry.serial = facts.serial;
    return true;
  } catch (const Error& error) {
    if (error.kind() != Kind::mismatch) throw;
    return false;
  }
}

// Those to whom a blob is encrypted, as was kept with its challenge; else whom its key has now.
std::vector<Bytes> agents_of(recovery::Archive& archive, const recovery::ReceiptEntry& entry,
                             const ChallengeFacts& kept) {
  if (!kept.agents.empty()) return kept.agents;
  const auto there = recovery::archived_key(archive, entry.certificate);
  return there.row ? there.row->agents : std::vector<Bytes>{};
}

// True when the blob is of this key, as far as that was kept, and the agent's card opens it: with
// whichever of its certificates.
bool can_open(const Context& context, recovery::Archive& archive,
              const recovery::ReceiptEntry& entry, const recovery::AgentCertificate& agent) {
  const ChallengeFacts kept = challenge_facts(context, entry.blob);
  if (!kept.about.empty() && !equal(kept.about, entry.certificate)) return false;
  const std::vector<Bytes> agents = agents_of(archive, entry, kept);
  return std::any_of(agents.begin(), agents.end(), [&](const Bytes& its) {
    return equal(its, agent.sha256) || same_card(recovery::agent_certificate(archive, its), agent);
  });
}

// "the agent's signature", "the blob's challenge"; "" when nothing proves it.
std::string proof_of(const Context& context, const recovery::AgentFile& file,
                     const recovery::Receipt& receipt, const recovery::ReceiptEntry& entry) {
  if (file.signer) {
    const Bytes signer = recovery::sha256_of(x509::certificate_der(file.signer.get()));
    if (equal(signer, receipt.agent)) return "the agent's signature";
  }
  for (const Bytes& mac : file.macs) {
    if (answers_challenge(context, entry.blob, file.text, mac)) return "the blob's challenge";
  }
  return "";
}

Outcome run(const Options& options, Context& context) {
  const Bytes content = read_file(options.file);
  const recovery::AgentFile file = recovery::read_agent_file(content, options.file);
  recovery::Receipt receipt = recovery::read_receipt(as_bytes(file.text), options.file);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const auto agent = recovery::agent_certificate(archive, receipt.agent);
  Outcome outcome;
  outcome.data = {{"agent", hex(receipt.agent)},
                  {"time", json_text(receipt.time)},
                  {"token", json_text(receipt.token)},
                  {"to", json_text(receipt.to)},
                  {"keys", Json::array()}};
  outcome.text = fmt::format("{}: opened by {} with {}, to {}\n", printable(receipt.time),
                             agent_text(agent), printable(receipt.token), printable(receipt.to));
  for (recovery::ReceiptEntry& entry : receipt.entries) {
    const bool opens = take_names(archive, entry) && can_open(context, archive, entry, agent);
    const std::string proof = opens ? proof_of(context, file, receipt, entry) : "";
    if (proof.empty()) outcome.exit = 3;
    outcome.data["keys"].push_back({{"blob", hex(entry.blob)},
                                    {"certificate", hex(entry.certificate)},
                                    {"subject", json_text(entry.subject)},
                                    {"serial", json_text(entry.serial)},
                                    {"proof", proof}});
    outcome.text += fmt::format("  the key of {}, serial {}: {}\n", printable(entry.subject),
                                printable(entry.serial),
                                proof.empty() ? "NOTHING PROVES IT" : "proved by " + proof);
  }
  Json facts = outcome.data;
  facts["receipt"] = hex(recovery::sha256_of(content));
  facts["proved"] = outcome.exit == 0;
  in_audit(context, archive.store->name(), facts, [] {});
  return outcome;
}

}  // namespace

void add_archive_receipt(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option("FILE", options->file, "What recover --receipt wrote").required();
  command.footer(
      "Examples:\n  hsmith archive receipt alice.receipt\n"
      "  hsmith archive receipt alice.receipt --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
