#include "cli/proving.h"

#include <ctime>
#include <fmt/format.h>

#include "cli/token_child.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/public_key.h"
#include "src/x509/request.h"
#include "src/x509/weak_keys.h"
#include "tokens/attestation.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

std::string text_of(std::string_view text) { return json_text(text).get<std::string>(); }

std::string version_text(const CK_VERSION& version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

tokens::Proof describe(const tokens::OpenToken& token, const tokens::Key& key, EVP_PKEY* half) {
  tokens::Proof proof;
  proof.made = rfc3339(std::time(nullptr));
  proof.program = "hsmith " HSMITH_VERSION;
  proof.uri = key.uri;
  proof.type = ossl::key_type_name(half);
  proof.public_key = ossl::spki_of(half);
  proof.token = {{"label", text_of(token.info.label)},
                 {"manufacturer", text_of(token.info.manufacturer)},
                 {"model", text_of(token.info.model)},
                 {"serial", text_of(token.info.serial)},
                 {"hardware", version_text(token.info.hardware)},
                 {"firmware", version_text(token.info.firmware)}};
  const pkcs11::ModuleInfo module = token.module->info();
  proof.module = {{"manufacturer", text_of(module.manufacturer)},
                  {"description", text_of(module.description)},
                  {"version", version_text(module.library)},
                  {"cryptoki", version_text(module.cryptoki)}};
  proof.attributes = tokens::claims_of(token, key.handle);
  return proof;
}

bool answers_by_signature(const tokens::Key& key) { return key.sign != false; }

tokens::Bundle prove_here(const tokens::OpenToken& token, const tokens::Key& key,
                          ByteView challenge, const tokens::Say& say) {
  const ossl::PKey half = tokens::public_key_of(token, key);
  tokens::Proof proof = describe(token, key, half.get());
  proof.attestation = tokens::attestation_of(tokens::take_inventory(token), half.get());
  tokens::SessionObjects objects(token);
  proof.objects = objects.count_before();
  proof.attacks = tokens::attack_key({token, key, half.get(), objects, say});
  say("the clearing away of what the attacks made");
  objects.finish();
  say("the answer to the challenge");
  tokens::Bundle bundle;
  bundle.report = tokens::report_text(proof);
  bundle.opened = !answers_by_signature(key);
  const auto remote = tokens::remote_key(token, key);
  bundle.holder = bundle.opened
                      ? tokens::open_challenge(*remote, bundle.report, challenge)
                      : tokens::sign_bytes(*remote, tokens::signed_bytes(bundle.report, challenge));
  return bundle;
}

// Opens the token in a child process and gives what `work` makes there of the key.
template <typename Work>
std::string with_key_in_child(Context& context, const std::string& name, const std::string& doing,
                              Work work) {
  const tokens::Selector selector = tokens::parse_selector(name);
  const Json result = in_token_child(
      context, &selector, doing, [&](const tokens::OpenToken& token, const tokens::Say& say) {
        return Json(std::string(work(token, tokens::find_one(token, selector), say)));
      });
  return std::string(result);
}

// What a witness signs: the same as the key, but a nonce that only a key that decrypts can open is
// not known to it.
Bytes witnessed_bytes(const tokens::Bundle& bundle, ByteView challenge) {
  return tokens::signed_bytes(bundle.report, bundle.opened ? ByteView() : challenge);
}

}  // namespace

void check_provable(Context& context, const std::string& key) {
  with_key_in_child(
      context, key, "prove " + quoted(key),
      [](const tokens::OpenToken& token, const tokens::Key& found, const tokens::Say&) {
        tokens::public_key_of(token, found);
        return std::string();
      });
}

tokens::Bundle prove_on_token(Context& context, const std::string& key, ByteView challenge) {
  const std::string doing = "prove " + quoted(key);
  const std::string text = with_key_in_child(
      context, key, doing,
      [&](const tokens::OpenToken& token, const tokens::Key& found, const tokens::Say& say) {
        return tokens::bundle_text(prove_here(token, found, challenge, say));
      });
  return tokens::parse_bundle(text, "the new bundle");
}

void add_witness(Context& context, const std::string& key, ByteView challenge,
                 tokens::Bundle& bundle) {
  const tokens::Proof proof = tokens::parse_report(bundle.report, "the new report");
  const std::string text = with_key_in_child(
      context, key, "have " + quoted(key) + " sign as a witness",
      [&](const tokens::OpenToken& token, const tokens::Key& found, const tokens::Say&) {
        const auto remote = tokens::remote_key(token, found);
        tokens::Bundle witnessed = bundle;
        witnessed.witness = {ossl::spki_of(remote->public_key()),
                             tokens::sign_bytes(*remote, witnessed_bytes(bundle, challenge))};
        return tokens::bundle_text(witnessed);
      });
  bundle = tokens::parse_bundle(text, "the new bundle");
  if (bundle.witness->public_key == proof.public_key)
    throw Error(Kind::usage, "--witness: this is the key itself")
        .hint("a witness is somebody else");
}

ossl::PKey key_of_proof(const tokens::Proof& proof, const std::string& input) {
  try {
    ossl::PKey key = ossl::public_key_from_spki(proof.public_key);
    ossl::algorithm_of(key.get());
    return key;
  } catch (const Error& error) {
    throw Error(Kind::malformed, fmt::format("read {}: its public key: {}", input, error.what()));
  }
}

std::string witness_problem(const tokens::Bundle& bundle, ByteView challenge, EVP_PKEY* witness) {
  if (!bundle.witness) return "no witness has signed";
  if (bundle.witness->public_key != ossl::spki_of(witness)) return "another witness has signed";
  if (!tokens::verify_bytes(witness, witnessed_bytes(bundle, challenge), bundle.witness->signature))
    return "the witness did not sign this report for this challenge";
  return "";
}

ossl::PKey read_any_public_key(const std::string& file) {
  const Bytes content = read_file(file);
  const std::string_view text = as_text(content);
  if (text.find("CERTIFICATE REQUEST-----") != std::string_view::npos) {
    const ossl::Request request = x509::parse_request(content, quoted(file));
    return ossl::share(x509::borrow_key(X509_REQ_get_X509_PUBKEY(request.get()), quoted(file)));
  }
  if (text.find("PUBLIC KEY-----") != std::string_view::npos)
    return x509::read_public_key(content, quoted(file));
  return ossl::share(
      x509::public_key_of(x509::read_certificates(content, quoted(file)).front().get()));
}

void warn_of_weakness(Context& context, EVP_PKEY* key) {
  for (const x509::Finding& finding : x509::key_weaknesses(key)) {
    if (finding.severity != x509::Severity::notice)
      context.warn("the key is weak: " + finding.text);
  }
}

}  // namespace hsmith::cli
