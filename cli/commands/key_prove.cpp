// hsmith key prove: evidence that a key cannot leave its token, and its verification.
#include <fmt/format.h>

#include "cli/certificate_argument.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/passwords.h"
#include "cli/proof_output.h"
#include "cli/proving.h"
#include "cli/trust.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/kind.h"
#include "src/x509/public_key.h"
#include "tokens/attestation.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string output;
  std::string challenge;
  std::string witness;
  std::string bundle;
  std::string witness_certificate;
  std::vector<std::string> attestation_roots;
  std::string public_key;
};

constexpr std::size_t kBundleLimit = 4u << 20;
constexpr std::size_t kShortChallenge = 16;

Bytes challenge_of(const Options& options, Context& context) {
  const auto challenge = parse_hex(options.challenge);
  if (!challenge) {
    throw Error(Kind::usage,
                fmt::format("--challenge {}: this is not hex", quoted(options.challenge)))
        .hint("whoever is to be convinced gives it: openssl rand -hex 32");
  }
  if (challenge->size() < kShortChallenge) {
    context.warn(
        fmt::format("a challenge of {} bytes may have been used before: take 32 random ones",
                    challenge->size()));
  }
  return *challenge;
}

void check_options(const Options& options) {
  const bool verifies = !options.bundle.empty();
  const auto refuse = [](const char* what) { throw Error(Kind::usage, what); };
  if (verifies && (!options.key.empty() || !options.output.empty() || !options.witness.empty()))
    refuse("key prove --verify takes no KEY, no -o and no --witness: it needs no token");
  if (!verifies && (options.key.empty() || options.output.empty()))
    refuse("key prove: name the key, and with -o the file that is written");
  if (!verifies && (!options.witness_certificate.empty() || !options.attestation_roots.empty() ||
                    !options.public_key.empty()))
    refuse("--witness-cert, --attestation-root and --public go with --verify");
}

Outcome prove(const Options& options, Context& context) {
  const Bytes challenge = challenge_of(options, context);
  check_output(options.output, context.replace());
  guard_keys(context);
  if (context.options.plan) {
    check_provable(context, options.key);
    return planned({{Change::Kind::create, "file " + options.output}});
  }
  tokens::Bundle bundle = prove_on_token(context, options.key, challenge);
  if (!options.witness.empty()) add_witness(context, options.witness, challenge, bundle);
  const tokens::Proof proof = tokens::parse_report(bundle.report, "the new report");
  record(context,
         {{"event", "prove"},
          {"key", json_text(proof.uri)},
          {"challenge", hex(challenge)},
          {"report", sha256_hex(as_bytes(bundle.report))}},
         audit::Flush::no);
  write_file(options.output, as_bytes(tokens::bundle_text(bundle)), kPublicFile, context.replace());
  Outcome outcome;
  outcome.data = proof_json(proof);
  outcome.data["bundle"] = json_text(options.output);
  outcome.data["witnessed"] = bundle.witness.has_value();
  const std::string way = tokens::way_out(proof);
  outcome.exit = way.empty() ? 0 : 3;
  outcome.text = proof_text(proof) +
                 (way.empty() ? "no attempt got the key out of the token\n"
                              : fmt::format("NO: the key could leave the token: {}\n", way));
  return outcome;
}

// Why the bundle does not hold; empty when it does. What was asked for and holds goes to `level`.
std::string problem_of(const Options& options, const tokens::Bundle& bundle,
                       const tokens::Proof& proof, EVP_PKEY* key, ByteView challenge,
                       std::string& level) {
  const bool stands = bundle.opened
                          ? tokens::verify_opened(bundle.report, challenge, bundle.holder)
                          : tokens::verify_bytes(
                                key, tokens::signed_bytes(bundle.report, challenge), bundle.holder);
  if (!stands) return "the key did not answer this challenge for this report";
  if (!options.public_key.empty()) {
    const ossl::PKey expected = read_any_public_key(options.public_key);
    if (!ossl::same_public_key(expected.get(), key))
      return fmt::format("the report is about another key than {}", quoted(options.public_key));
  }
  level = "holder's word";
  if (!options.witness_certificate.empty()) {
    const auto certificates = read_certificate_files({options.witness_certificate});
    const std::string problem =
        witness_problem(bundle, challenge, x509::public_key_of(certificates.front().get()));
    if (!problem.empty()) return problem;
    level = "witnessed";
  }
  if (!options.attestation_roots.empty()) {
    const std::string problem = tokens::attestation_problem(
        proof.attestation, key, read_anchors(options.attestation_roots), time_of_check(""));
    if (!problem.empty()) return "not attested by the device: " + problem;
    level = "attested by the device";
  }
  return "";
}

Outcome not_verified(const Options& options, const std::string& problem) {
  Outcome outcome;
  outcome.exit = 3;
  outcome.data = {
      {"bundle", json_text(options.bundle)}, {"verified", false}, {"reason", json_text(problem)}};
  outcome.text = fmt::format("NO: {}: {}\n", quoted(options.bundle), problem);
  return outcome;
}

Outcome verify(const Options& options, Context& context) {
  const Bytes challenge = challenge_of(options, context);
  const std::string name = quoted(options.bundle);
  const Bytes content = read_file(options.bundle, kBundleLimit);
  if (x509::kind_of(content) != "a JSON file") x509::refuse_kind(content, name, "a proof bundle");
  const tokens::Bundle bundle = tokens::parse_bundle(as_text(content), name);
  tokens::Proof proof;
  ossl::PKey key;
  try {
    proof = tokens::parse_report(bundle.report, name);
    key = key_of_proof(proof, name);
  } catch (const Error& error) {  // hsmith wrote no such report, so somebody else did
    return not_verified(options, fmt::format("forged or edited: {}", error.what()));
  }
  std::string level;
  const std::string problem = problem_of(options, bundle, proof, key.get(), challenge, level);
  if (!problem.empty()) return not_verified(options, problem);
  Outcome outcome;
  outcome.data = {{"bundle", json_text(options.bundle)}, {"verified", true}};
  warn_of_weakness(context, key.get());
  outcome.data.update(proof_json(proof));
  outcome.data["level"] = level;
  const std::string way = tokens::way_out(proof);
  if (!way.empty()) outcome.exit = 3;
  outcome.text =
      proof_text(proof) +
      (way.empty() ? fmt::format("no attempt got the key out of the token; level: {}\n", level)
                   : fmt::format("NO: the key could leave the token: {}\n", printable(way)));
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  check_options(options);
  return options.bundle.empty() ? prove(options, context) : verify(options, context);
}

}  // namespace

void add_key_prove(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("KEY", options->key, "Label, id:HEX or PKCS#11 URI of a private key");
  command.add_option("-o,--output", options->output, "The bundle that is written");
  command
      .add_option("--challenge", options->challenge,
                  "Hex from whoever is to be convinced; for a key that decrypts, a nonce encrypted "
                  "to it, and with --verify the nonce")
      .required();
  command.add_option("--witness", options->witness,
                     "Another key, of somebody who watched, that signs too");
  command.add_option("--verify", options->bundle, "Verify this bundle; needs no token");
  command.add_option("--witness-cert", options->witness_certificate,
                     "The certificate of the witness, who must have signed");
  command
      .add_option("--attestation-root", options->attestation_roots,
                  "The root of the maker of the device, who must attest the key; may be repeated")
      .one_each();
  command.add_option("--public", options->public_key,
                     "A public key, certificate or request that the bundle must be about");
  command.footer(
      "Examples:\n  hsmith key prove web -o web.proof --challenge $(openssl rand -hex 32)\n"
      "  hsmith key prove --verify web.proof --challenge 5f1c… --public web.csr");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
