// hsmith verify: a raw signature against a key, a certificate or a public key file; a CMS, S/MIME
// or JWS message with the certificates that it brings along.
#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <optional>

#include "cli/commands.h"
#include "cli/message_verification.h"
#include "cli/signature_options.h"
#include "cli/trust.h"
#include "src/base/error.h"
#include "src/base/file_identity.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/ossl/weak_digest.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"
#include "src/x509/path.h"
#include "src/x509/public_key.h"
#include "tokens/matching.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string certificate;
  std::string public_key;
  TrustOptions trust;
  std::string purpose;
  x509::PathOptions path;
  SignatureOptions signature;
  std::string signature_file;
  std::string file;
  std::string output;  // for the content of a message
};

ossl::PKey key_from_token(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  return tokens::proved_public_key_of(token, tokens::find_one(token, selector));
}

ExpectedSigner expected_signer(const Options& options, Context& context) {
  const int named =
      !options.key.empty() + !options.certificate.empty() + !options.public_key.empty();
  if (named > 1) {
    throw Error(Kind::usage, "verify: name the signer with exactly one of --key, --cert, --public");
  }
  ExpectedSigner expected;
  if (!options.key.empty()) expected.key = key_from_token(options, context);
  if (!options.public_key.empty()) {
    expected.key = x509::read_public_key(read_file(options.public_key), quoted(options.public_key));
  }
  if (!options.certificate.empty()) {
    // The first of a file; what follows may serve as its chain.
    auto chain =
        x509::read_certificates(read_file(options.certificate), quoted(options.certificate));
    expected.certificate = std::move(chain.front());
    expected.key = ossl::share(x509::public_key_of(expected.certificate.get()));
  }
  return expected;
}

// nullopt: nothing is trusted, neither by option nor by the configuration.
std::optional<Validation> validation_of(const Options& options, SignatureFormat format,
                                        const Context& context) {
  if (options.trust.trust.empty() && context.config.trust_anchors.empty()) {
    const bool asked = !options.trust.untrusted.empty() || !options.trust.at.empty() ||
                       !options.trust.crls.empty() || options.trust.require_crl ||
                       !options.purpose.empty() || !options.path.emails.empty();
    if (!asked) return std::nullopt;
  }
  Validation validation{read_trust(options.trust, context), options.path};
  // Mail is signed by certificates for mail.
  const char* usual = format == SignatureFormat::smime ? "email" : "any";
  validation.path.purpose = x509::purpose_named(options.purpose.empty() ? usual : options.purpose);
  return validation;
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

std::string verdict_text(const Options& options, bool good, const std::string& problem,
                         bool validated, const std::string& scheme) {
  if (!good) {
    return fmt::format("BAD signature: {} is not a signature of {} by this key ({})\n",
                       quoted(options.signature_file), quoted(options.file), scheme);
  }
  if (!problem.empty())
    return fmt::format("NOT GOOD: the signature verifies ({}), its certificate does not: {}\n",
                       scheme, problem);
  // --cert alone names a key; whether the certificate is to be trusted is another question.
  if (!options.certificate.empty() && !validated) {
    return fmt::format("good signature: {}; the certificate itself was not validated\n", scheme);
  }
  return fmt::format("good signature: {}\n", scheme);
}

// The chain that may follow the signer's certificate in its file.
void add_chain(const Options& options, Validation& validation) {
  auto chain = x509::read_certificates(read_file(options.certificate), quoted(options.certificate));
  std::move(chain.begin() + 1, chain.end(), std::back_inserter(validation.trust.untrusted));
}

// What does not verify may be no signature at all. A raw one can look like anything, so this is
// asked only then, and only of what is whole.
void refuse_other_kind(const Options& options, const Bytes& signature) {
  const bool pem = x509::looks_like_pem(signature);
  const bool der = x509::der_element_size(signature) == signature.size() &&
                   x509::kind_of_der(signature) != "nothing that hsmith knows";
  if (!signature.empty() && (pem || der))
    x509::refuse_kind(signature, quoted(options.signature_file), "a signature");
}

// SHA-1 proves nothing against who chose the content.
bool is_too_weak(const Options& options, const ossl::Scheme& scheme) {
  return ossl::is_weak(scheme) && options.path.security_level != 0;
}

Outcome verify_raw(const Options& options, const Bytes& signature, const ExpectedSigner& signer,
                   std::optional<Validation> validation, Context& context) {
  if (signer.key == nullptr) {
    throw Error(Kind::usage, "verify: name the signer with exactly one of --key, --cert, --public");
  }
  if (options.file.empty()) {
    throw Error(Kind::usage, fmt::format("verify {}: a raw signature does not hold what was signed",
                                         quoted(options.signature_file)))
        .hint("name the signed file after it");
  }
  if (!options.output.empty()) {
    throw Error(Kind::usage, "-o: a raw signature holds no content that could be written");
  }
  EVP_PKEY* key = signer.key.get();
  refuse_prehashed_ed25519(options.signature, key);
  const ossl::Scheme scheme =
      ossl::choose_scheme(key, options.signature.scheme, options.signature.digest);
  check_sig_format(options.signature, key);
  const Bytes input = input_to_sign(options.file, key, scheme, options.signature);
  const bool fits = verifies(options, key, scheme, input, signature);
  if (!fits) refuse_other_kind(options, signature);
  const bool good = fits && !is_too_weak(options, scheme);
  // A key without a certificate has nothing to validate.
  if (signer.certificate == nullptr) validation.reset();
  std::string problem;
  if (validation) {
    add_chain(options, *validation);
    problem = validate(signer.certificate.get(), *validation).problem;
  }
  const std::string how = ossl::describe(key, scheme);
  Outcome outcome;
  outcome.exit = good && problem.empty() ? 0 : 3;
  outcome.data = {{"format", "raw"}, {"verifies", good}, {"scheme", how}};
  if (validation) outcome.data["certificate_valid"] = problem.empty();
  if (!problem.empty()) outcome.data["certificate_problem"] = json_text(problem);
  outcome.text = verdict_text(options, fits, problem, validation.has_value(), how);
  if (fits && !good) {
    context.warn("SHA-1 is too weak to prove anything; --security-level 0 accepts it");
    outcome.text = fmt::format("NOT GOOD: the signature is made with SHA-1 ({})\n", how);
  }
  return outcome;
}

void refuse_raw_options(const SignatureOptions& options, SignatureFormat format) {
  const bool given =
      !options.digest.empty() || !options.scheme.empty() || options.raw() || options.prehashed;
  if (!given) return;
  throw Error(Kind::usage,
              fmt::format("--digest, --scheme, --sig-format, --prehashed: for raw signatures; this "
                          "one is {} and says itself how it was made",
                          format_name(format)));
}

Outcome run(const Options& options, Context& context) {
  const auto inputs = {options.signature_file, options.file, options.certificate,
                       options.public_key};
  if (std::count_if(inputs.begin(), inputs.end(), is_standard_input) > 1) {
    throw Error(Kind::usage, "verify: only one of signature, file and signer is standard input");
  }
  if (context.options.json && options.output == "-") {
    throw Error(Kind::usage, "print the content as JSON: that does not go together")
        .hint("name a file with -o");
  }
  if (is_same_file(options.signature_file, options.output)) {
    throw Error(Kind::usage, fmt::format("verify {}: input and output are the same",
                                         quoted(options.signature_file)));
  }
  if (!options.output.empty()) check_output(options.output, context.replace());
  const Bytes signature = cms::read_message_file(options.signature_file, may_be_message);
  const SignatureFormat format = format_of(signature);
  if (format == SignatureFormat::raw && !options.trust.trust.empty() &&
      options.certificate.empty()) {
    throw Error(Kind::usage,
                "--trust: only a certificate can be validated; name the signer with --cert");
  }
  const ExpectedSigner signer = expected_signer(options, context);
  std::optional<Validation> validation = validation_of(options, format, context);
  if (format == SignatureFormat::raw)
    return verify_raw(options, signature, signer, std::move(validation), context);
  refuse_raw_options(options.signature, format);
  return verify_message({format, signature, options.signature_file, options.file, options.output},
                        signer, std::move(validation), context);
}

}  // namespace

void add_verify(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key,
                     "Signer: label, id:HEX or PKCS#11 URI of a key on a token");
  command.add_option("--cert", options->certificate, "Signer: a certificate file");
  command.add_option("--public", options->public_key, "Signer: a public key file (PEM or DER)");
  add_trust_options(command, options->trust);
  command.add_option("--purpose", options->purpose,
                     "As of cert verify (default: email for S/MIME, else any)");
  command
      .add_option("--email", options->path.emails, "The certificate must be good for this mailbox")
      .one_each();
  command.add_option("--security-level", options->path.security_level, "As OpenSSL counts: 0 to 5")
      .within(0, 5);
  add_signature_options(command, options->signature);
  command.add_option("-o,--output", options->output,
                     "Where the content of a message goes, when all is good");
  command.add_option("SIGNATURE", options->signature_file, "The signature: raw, CMS, S/MIME or JWS")
      .required();
  command.add_option("FILE", options->file,
                     "What was signed, where the signature does not hold it");
  command.footer(
      "Examples:\n  hsmith verify --key web release.tar.gz.sig release.tar.gz\n"
      "  hsmith verify --trust ca.crt --crl ca.crl release.tar.gz.p7s release.tar.gz");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
