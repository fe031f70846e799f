#include "cli/signature_options.h"

#include <fmt/format.h>

#include "cli/arguments.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

constexpr std::size_t kEd25519Limit = 64u << 20;

Bytes whole_file(const std::string& file) {
  Bytes content;
  read_blocks(file, [&](ByteView block) {
    if (content.size() + block.size() > kEd25519Limit) {
      throw Error(
          Kind::unsupported,
          fmt::format("sign {} with Ed25519: the whole file is the message, and it is larger "
                      "than 64 MiB",
                      quoted(file)))
          .hint("use an RSA or EC key for large files");
    }
    content.insert(content.end(), block.begin(), block.end());
  });
  return content;
}

}  // namespace

void add_signature_options(Arguments& command, SignatureOptions& options) {
  command.add_option("--digest", options.digest, "sha256, sha384, sha512 (default by the key)");
  command.add_option("--scheme", options.scheme, "pkcs1, pss, ecdsa, eddsa (default by the key)");
  command.add_option("--sig-format", options.sig_format, "ECDSA: der, or raw for r || s")
      .one_of({"der", "raw"});
  command.add_flag("--prehashed", options.prehashed,
                   "The file holds the digest; name it with --digest");
}

void check_sig_format(const SignatureOptions& options, const EVP_PKEY* key) {
  if (options.raw() && ossl::algorithm_of(key) != ossl::KeyAlgorithm::ec) {
    throw Error(Kind::usage, "--sig-format raw: only ECDSA signatures have this form");
  }
}

void refuse_prehashed_ed25519(const SignatureOptions& options, const EVP_PKEY* key) {
  if (!options.prehashed || ossl::algorithm_of(key) != ossl::KeyAlgorithm::ed25519) return;
  throw Error(Kind::unsupported, "--prehashed: Ed25519 signs whole messages, not digests")
      .hint("sign the file itself, or use an RSA or EC key");
}

Bytes input_to_sign(const std::string& file, const EVP_PKEY* key, const ossl::Scheme& scheme,
                    const SignatureOptions& options) {
  if (ossl::algorithm_of(key) == ossl::KeyAlgorithm::ed25519) {
    refuse_prehashed_ed25519(options, key);
    return whole_file(file);
  }
  if (options.prehashed) {
    if (options.digest.empty()) {
      throw Error(Kind::usage, "--prehashed: the kind of digest is not told")
          .hint("add --digest sha256, say");
    }
    Bytes digest = read_file(file, 4096);
    if (digest.size() == scheme.digest->size) return digest;
    throw Error(Kind::malformed,
                fmt::format("read the digest {}: it has {} bytes, a {} digest has {}", quoted(file),
                            digest.size(), scheme.digest->name, scheme.digest->size))
        .hint("the file must hold the digest as bytes, not as hex");
  }
  ossl::Hasher hasher(*scheme.digest);
  read_blocks(file, [&](ByteView block) { hasher.update(block); });
  return hasher.finish();
}

}  // namespace hsmith::cli
