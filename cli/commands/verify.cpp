// hsmith verify: a raw signature against a key, a certificate or a public key file.
#include <CLI/CLI.hpp>
#include <ctime>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/signature_options.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"
#include "src/x509/public_key.h"
#include "tokens/keys.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string certificate;
  std::string public_key;
  std::string trust;
  SignatureOptions signature;
  std::string signature_file;
  std::string file;
};

// A signature is small; a larger file is something else.
constexpr std::size_t kSignatureLimit = 64u << 10;

ossl::PKey key_from_token(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  return tokens::public_key_of(token, tokens::find_one(token, selector));
}

ossl::PKey key_of(const Options& options, Context& context) {
  const int named =
      !options.key.empty() + !options.certificate.empty() + !options.public_key.empty();
  if (named != 1) {
    throw Error(Kind::usage, "verify: name the signer with exactly one of --key, --cert, --public");
  }
  if (!options.key.empty()) return key_from_token(options, context);
  if (!options.public_key.empty())
    return x509::read_public_key(read_file(options.public_key), quoted(options.public_key));
  const ossl::Certificate certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  return ossl::share(x509::public_key_of(certificate.get()));
}

bool verifies(const Options& options, EVP_PKEY* key, const ossl::Scheme& scheme, ByteView input,
              const Bytes& signature) {
  if (!options.signature.raw()) return ossl::verify(key, scheme, input, signature);
  try {
    return ossl::verify(key, scheme, input, ossl::ecdsa_der_from_raw(key, signature));
  } catch (const Error& error) {
    if (error.kind() == Kind::malformed) return false;
    throw;
  }
}

// What stands against the signer's certificate; "" when it is good, or not asked about.
std::string certificate_problem(const Options& options) {
  if (options.trust.empty()) return "";
  const auto chain =
      x509::read_certificates(read_file(options.certificate), quoted(options.certificate));
  const auto anchors = x509::read_anchors(read_file(options.trust), quoted(options.trust));
  x509::PathOptions path;
  path.time = std::time(nullptr);
  const x509::Verdict verdict = x509::verify_path(chain.front().get(), chain, anchors, path);
  if (verdict.ok) return "";
  return verdict.problems.empty() ? "no path to a trusted root" : verdict.problems.front().reason;
}

std::string verdict_text(const Options& options, bool good, const std::string& problem,
                         const std::string& scheme) {
  if (!good) {
    return fmt::format("BAD signature: {} is not a signature of {} by this key ({})\n",
                       quoted(options.signature_file), quoted(options.file), scheme);
  }
  if (!problem.empty())
    return fmt::format("NOT GOOD: the signature verifies ({}), its certificate does not: {}\n",
                       scheme, problem);
  // --cert alone names a key; whether the certificate is to be trusted is another question.
  if (!options.certificate.empty() && options.trust.empty()) {
    return fmt::format("good signature: {}; the certificate itself was not validated\n", scheme);
  }
  return fmt::format("good signature: {}\n", scheme);
}

Outcome run(const Options& options, Context& context) {
  if (options.signature_file == "-" && options.file == "-") {
    throw Error(Kind::usage, "verify: signature and file cannot both be standard input");
  }
  if (!options.trust.empty() && options.certificate.empty()) {
    throw Error(Kind::usage,
                "--trust: only a certificate can be validated; name the signer with --cert");
  }
  const Bytes signature = read_file(options.signature_file, kSignatureLimit);
  const ossl::PKey key = key_of(options, context);
  const ossl::Scheme scheme =
      ossl::choose_scheme(key.get(), options.signature.scheme, options.signature.digest);
  check_sig_format(options.signature, key.get());
  const Bytes input = input_to_sign(options.file, key.get(), scheme, options.signature);
  const bool good = verifies(options, key.get(), scheme, input, signature);
  const std::string problem = certificate_problem(options);
  const std::string how = ossl::describe(key.get(), scheme);
  Outcome outcome;
  outcome.exit = good && problem.empty() ? 0 : 3;
  outcome.data = {{"verifies", good}, {"scheme", how}};
  if (!options.trust.empty()) outcome.data["certificate_valid"] = problem.empty();
  if (!problem.empty()) outcome.data["certificate_problem"] = json_text(problem);
  outcome.text = verdict_text(options, good, problem, how);
  return outcome;
}

}  // namespace

void add_verify(CLI::App& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key,
                     "Signer: label, id:HEX or PKCS#11 URI of a key on a token");
  command.add_option("--cert", options->certificate, "Signer: a certificate file");
  command.add_option("--public", options->public_key, "Signer: a public key file (PEM or DER)");
  command.add_option("--trust", options->trust,
                     "With --cert: the certificate must verify with these roots");
  add_signature_options(command, options->signature);
  command.add_option("SIGNATURE", options->signature_file, "The signature")->required();
  command.add_option("FILE", options->file, "What was signed")->required();
  command.footer(
      "Examples:\n  hsmith verify --key web release.tar.gz.sig release.tar.gz\n"
      "  hsmith verify --cert web.crt --scheme pss release.tar.gz.sig release.tar.gz");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
