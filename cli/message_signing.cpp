#include "cli/message_signing.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/chain_store.h"
#include "cli/message_verification.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/jws.h"
#include "src/cms/smime.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"
#include "src/x509/input.h"
#include "tokens/certificates.h"

namespace hsmith::cli {
namespace {

bool has(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

Error refusal(const std::string& name, const std::string& why) {
  return Error(Kind::refused, fmt::format("sign with the certificate {}: {}", name, why));
}

// What would make every reader turn the signature down is refused, what some complain about warned.
void check_certificate(X509* certificate, const std::string& name, const MessageOptions& options,
                       Context& context) {
  const x509::CertificateFacts facts = x509::certificate_facts(certificate);
  const std::time_t now = std::time(nullptr);
  if (now > facts.not_after) {
    throw refusal(name, "it expired on " + rfc3339(facts.not_after))
        .hint("renew it, or sign with --format raw, which needs no certificate");
  }
  if (now < facts.not_before) {
    throw refusal(name, "it is not valid before " + rfc3339(facts.not_before))
        .hint("look at the clock of this machine");
  }
  const auto& usage = facts.extensions.key_usage;
  if (!usage.empty() && !has(usage, "digitalSignature") && !has(usage, "nonRepudiation")) {
    throw refusal(name, fmt::format("its key usage is {}, not to sign", fmt::join(usage, ", ")))
        .hint("get a certificate with the key usage digitalSignature");
  }
  const auto& purposes = facts.extensions.extended_key_usage;
  const bool for_mail =
      purposes.empty() || has(purposes, "emailProtection") || has(purposes, "anyExtendedKeyUsage");
  if (options.format == "smime" && !for_mail) {
    context.warn(fmt::format("{}: the certificate is for {}; mail programs will not accept it",
                             printable(name), fmt::join(purposes, ", ")));
  }
}

// The intermediates between the certificate and its root, as far as they are here.
std::vector<ossl::Certificate> intermediates(X509* leaf, const tokens::Inventory& inventory,
                                             Context& context) {
  auto chain = x509::server_chain(leaf, chain_pool(inventory, context), std::time(nullptr));
  chain.erase(chain.begin());
  return chain;
}

// The file's bytes; the record of what is signed is made when they all have passed.
cms::Content content_of(const std::string& file, const MessageSigner& signer,
                        const Announce& announce) {
  return [&file, &signer, &announce](const std::function<void(ByteView)>& take) {
    const ossl::DigestType* digest = signer.scheme.digest;
    ossl::Hasher hasher(digest != nullptr ? *digest : ossl::digest_named("sha256"));
    read_blocks(file, [&](ByteView block) {
      hasher.update(block);
      take(block);
    });
    announce(hasher.finish());
  };
}

// S/MIME is made of a MIME entity, which is held in memory.
Bytes entity_of(const std::string& file, const cms::Content& content) {
  Bytes whole;
  content([&](ByteView block) {
    if (block.size() > cms::kMostContent - whole.size()) {
      throw Error(Kind::unsupported,
                  fmt::format("sign {} as S/MIME: it is larger than 512 MiB", quoted(file)))
          .hint("use --format cms, whose detached signatures have no limit");
    }
    whole.insert(whole.end(), block.begin(), block.end());
  });
  return cms::mime_entity(whole, std::filesystem::path(file).filename().string());
}

std::string smime_message(const std::string& file, const MessageSigner& signer,
                          const MessageOptions& options, const cms::Content& content) {
  const Bytes entity = entity_of(file, content);
  const Bytes der =
      cms::sign(signer.signing(), options.placing(), [&](const auto& take) { take(entity); });
  const bool opaque = options.placing() == cms::Placing::attached;
  std::string text = opaque ? cms::pkcs7_mime(der, "signed-data")
                            : cms::multipart_signed(entity, der, signer.scheme.digest->name);
  // Read again as a recipient does: what was signed must be what comes out.
  const cms::SmimeMessage made = cms::read_smime(as_bytes(text), "the message just made");
  if (made.cms != der || (!opaque && made.content != entity)) {
    throw Error(Kind::internal,
                fmt::format("sign {} as S/MIME: the message does not read back", quoted(file)));
  }
  return text;
}

// True for one good signature with the signer's certificate and scheme, and its chain beside it.
bool is_by(const MessageSigner& signer, const cms::VerifiedMessage& message) {
  const cms::Signature& only = message.signatures.front();
  const auto holds = [&](const ossl::Certificate& one) {
    return std::any_of(
        message.certificates.begin(), message.certificates.end(),
        [&](const auto& other) { return x509::same_certificate(other.get(), one.get()); });
  };
  return message.signatures.size() == 1 && only.verifies && only.certificate != nullptr &&
         x509::same_certificate(only.certificate.get(), signer.certificate.get()) &&
         only.scheme == ossl::describe(signer.key->public_key(), signer.scheme) &&
         std::all_of(signer.chain.begin(), signer.chain.end(), holds);
}

// CMS in PEM or, with --der, in DER.
bool has_form(const Bytes& message, const MessageOptions& options) {
  return options.format != "cms" || cms::looks_like_pem_cms(message) != options.der;
}

}  // namespace

MessageSigner MessageSigner::with_key(std::shared_ptr<ossl::RemoteKey> other) const {
  MessageSigner copy{std::move(other), scheme, ossl::share(certificate.get()), {}};
  for (const ossl::Certificate& one : chain) copy.chain.push_back(ossl::share(one.get()));
  return copy;
}

cms::Placing MessageOptions::placing() const {
  if (attached) return cms::Placing::attached;
  if (detached) return cms::Placing::detached;
  return format == "jws" ? cms::Placing::attached : cms::Placing::detached;
}

void add_message_options(Arguments& command, MessageOptions& options) {
  command
      .add_option("--format", options.format,
                  "raw: the bare signature (default); cms, smime, jws: with the certificate")
      .one_of({"raw", "cms", "smime", "jws"});
  const Argument detached = command.add_flag(
      "--detached", options.detached, "The message does not hold the content (default of cms)");
  command.add_flag("--attached", options.attached, "The message holds the content (default of jws)")
      .excludes(detached);
  command.add_flag("--chain", options.chain,
                   "Add the intermediate certificates that the token has");
  command.add_flag("--der", options.der, "CMS in DER instead of PEM");
}

void check_message_options(const MessageOptions& options) {
  if (options.is_raw() && (options.attached || options.chain || options.der)) {
    throw Error(Kind::usage, "--attached, --chain and --der: a raw signature has none of these")
        .hint("add --format cms");
  }
  if (options.der && options.format != "cms") {
    throw Error(Kind::usage, fmt::format("--der: {} is text", options.format));
  }
}

std::string suffix_of(const MessageOptions& options) {
  if (options.is_raw()) return ".sig";
  if (options.format == "smime") return ".eml";
  if (options.format == "jws") return ".jws";
  return options.placing() == cms::Placing::attached ? ".p7m" : ".p7s";
}

MessageSigner message_signer(const tokens::OpenToken& token, const tokens::Key& key,
                             std::shared_ptr<ossl::RemoteKey> remote, const ossl::Scheme& scheme,
                             const MessageOptions& options, Context& context) {
  if (options.format != "jws" &&
      ossl::algorithm_of(remote->public_key()) == ossl::KeyAlgorithm::ed25519) {
    throw Error(Kind::unsupported,
                fmt::format("sign as {} with {}: OpenSSL 3.0 makes no CMS signature with Ed25519",
                            options.format, key.uri))
        .hint("use --format raw or jws, or an RSA or EC key");
  }
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const tokens::TokenCertificate found = tokens::certificate_in_service(inventory, key);
  MessageSigner signer{
      std::move(remote), scheme, x509::certificate_from_der(found.der, found.uri), {}};
  // It was found by the key's id when its own key could not be read.
  if (!ossl::same_public_key(signer.key->public_key(),
                             x509::public_key_of(signer.certificate.get()))) {
    throw Error(Kind::mismatch,
                fmt::format("sign with {}: the certificate belongs to another key", found.uri))
        .hint("hsmith cert repair links certificates by their public keys");
  }
  check_certificate(signer.certificate.get(), found.uri, options, context);
  if (options.chain) signer.chain = intermediates(signer.certificate.get(), inventory, context);
  return signer;
}

Bytes signed_message(const std::string& file, const MessageSigner& signer,
                     const MessageOptions& options, const Announce& announce) {
  if (options.format == "smime" || options.placing() == cms::Placing::attached) {
    cms::refuse_large_file(file, cms::kMostContent, "use --format cms --detached");
  }
  const cms::Content content = content_of(file, signer, announce);
  if (options.format == "jws") {
    return to_bytes(as_bytes(cms::make_jws(signer.signing(), options.placing(), content) + "\n"));
  }
  if (options.format == "smime") {
    return to_bytes(as_bytes(smime_message(file, signer, options, content)));
  }
  Bytes der = cms::sign(signer.signing(), options.placing(), content);
  if (options.der) return der;
  // Not "CMS": openssl smime and certtool read this label only, openssl cms reads both.
  return to_bytes(as_bytes(x509::pem("PKCS7", der)));
}

bool is_signed_message(const Bytes& message, const std::string& file, const MessageSigner& signer,
                       const MessageOptions& options) {
  constexpr const char* kName = "the message that is there";
  cms::Content content = [&](const auto& take) { read_blocks(file, take); };
  std::optional<Bytes> entity;
  cms::VerifiedMessage verified;
  if (options.format == "jws") {
    verified = cms::verify_jws(message, &content, signer.key->public_key(), kName);
  } else {
    Bytes der;
    if (options.format == "smime") {
      cms::SmimeMessage smime = cms::read_smime(message, kName);
      entity = entity_of(file, content);
      if (smime.content && *smime.content != *entity) return false;
      content = [&](const auto& take) { take(*entity); };
      der = std::move(smime.cms);
    } else {
      der = cms::cms_of(message, kName);
    }
    verified = cms::verify_message(der, &content, {}, cms::WeakDigest::refuse, kName);
  }
  if (!is_by(signer, verified) || !has_form(message, options)) return false;
  const bool attached = options.placing() == cms::Placing::attached;
  // A JWS of an empty file is the same whether it holds its content or not.
  if (!verified.content) return !attached || (options.format == "jws" && same_content(file, {}));
  if (!attached) return false;
  return entity ? *verified.content == *entity : same_content(file, *verified.content);
}

}  // namespace hsmith::cli
