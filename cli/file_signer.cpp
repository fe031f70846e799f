#include "cli/file_signer.h"

#include <filesystem>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/ossl/weak_digest.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

Bytes signature_of(const std::string& file, const FileSigning& options, const FileSigner& signer,
                   const Announce& announce) {
  if (signer.message) return signed_message(file, *signer.message, options.message, announce);
  const Bytes input =
      input_to_sign(file, signer.key->public_key(), signer.scheme, options.signature);
  // What is signed: the digest itself, or for Ed25519, which has none, that of the message.
  announce(signer.scheme.digest != nullptr ? input
                                           : ossl::digest(ossl::digest_named("sha256"), input));
  Bytes signature = signer.key->sign(signer.scheme, input);
  if (!options.signature.raw()) return signature;
  return ossl::ecdsa_raw_from_der(signer.key->public_key(), signature);
}

bool is_raw_signature(const Bytes& written, const std::string& file, const FileSigning& options,
                      const FileSigner& signer) {
  EVP_PKEY* key = signer.key->public_key();
  const Bytes signature =
      options.signature.raw() ? ossl::ecdsa_der_from_raw(key, written) : written;
  return ossl::verify(key, signer.scheme,
                      input_to_sign(file, key, signer.scheme, options.signature), signature);
}

}  // namespace

FileSigner file_signer(const tokens::OpenToken& token, const tokens::Key& key,
                       const FileSigning& options, Context& context) {
  const auto remote = tokens::remote_key(token, key);
  refuse_prehashed_ed25519(options.signature, remote->public_key());
  const ossl::Scheme scheme =
      ossl::choose_scheme(remote->public_key(), options.signature.scheme, options.signature.digest);
  ossl::refuse_weak_digest(scheme);
  check_sig_format(options.signature, remote->public_key());
  FileSigner signer{remote, scheme, std::nullopt};
  if (!options.message.is_raw())
    signer.message = message_signer(token, key, remote, scheme, options.message, context);
  return signer;
}

FileSigner in_own_session(const tokens::OpenToken& token, const tokens::Key& key,
                          const FileSigner& first) {
  tokens::OpenToken own = token;
  own.session = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_only);
  FileSigner signer{tokens::remote_key(own, key), first.scheme, std::nullopt};
  if (first.message) signer.message = first.message->with_key(signer.key);
  return signer;
}

bool is_signed(const SigningTask& task, const FileSigning& options, const FileSigner& signer) {
  // What is no file, or has no possible name, is no signature either; to write there says why.
  std::error_code ignored;
  if (task.output == "-" || !std::filesystem::is_regular_file(task.output, ignored)) return false;
  const Bytes written = read_file(task.output, cms::kMostMessageFile);
  try {
    return signer.message ? is_signed_message(written, task.file, *signer.message, options.message)
                          : is_raw_signature(written, task.file, options, signer);
  } catch (const Error& error) {
    const bool is_another = error.kind() == Kind::malformed || error.kind() == Kind::usage ||
                            error.kind() == Kind::unsupported;
    if (is_another) return false;
    throw;
  }
}

SigningResult sign_file(const SigningTask& task, const FileSigning& options,
                        const FileSigner& signer, const Context& context,
                        const Announce& announce) {
  if (options.resume) {
    if (is_signed(task, options, signer))
      return {SigningResult::Fate::signed_before, "", std::nullopt, {}};
    check_output(task.output, context.replace());
  }
  SigningResult result{SigningResult::Fate::signed_now, "", std::nullopt, {}};
  Bytes signature = signature_of(task.file, options, signer, [&](ByteView digest) {
    result.digest = hex(digest);
    if (announce) announce(digest);
  });
  if (task.output == "-") {
    result.for_standard_output = std::move(signature);
  } else {
    write_file(task.output, signature, kPublicFile, context.replace());
  }
  return result;
}

}  // namespace hsmith::cli
