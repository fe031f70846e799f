// Engines are deprecated since OpenSSL 3.0, and they are what nginx, Apache, curl and the others of
// Debian 12 reach a token with. What they do can only be tried by doing it.
#undef OPENSSL_NO_DEPRECATED
#undef OPENSSL_API_COMPAT
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tokens/interop.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <vector>

#include "src/base/environment.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "tokens/account.h"
#include "tokens/child_process.h"
#include "tokens/printed_errors.h"

namespace hsmith::tokens {
namespace {

constexpr const char* kDoing = "sign through OpenSSL's pkcs11 engine";
constexpr std::string_view kMessage = "hsmith use --test";
constexpr const char* kNoMechanism = "Mechanism invalid";  // libp11's words
constexpr std::size_t kLongestPin = 31;
// libp11 0.4.12 waits for ever when a session cannot be opened.
constexpr std::chrono::seconds kLimit{20};

using Engine = std::unique_ptr<ENGINE, ossl::Deleter<ENGINE_free>>;
using Configuration = std::unique_ptr<CONF, ossl::Deleter<NCONF_free>>;

Engine load_engine(const std::string& configuration) {
  OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_ALL_BUILTIN | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  OPENSSL_load_builtin_modules();
  // What this process's own openssl.cnf may have loaded by the same name.
  if (const Engine other{ENGINE_by_id("pkcs11")}) ENGINE_remove(other.get());
  const ossl::Bio text(
      BIO_new_mem_buf(configuration.data(), static_cast<int>(configuration.size())));
  const Configuration parsed(NCONF_new(nullptr));
  long line = 0;
  ossl::check(NCONF_load_bio(parsed.get(), text.get(), &line) > 0, "read the openssl.cnf");
  ossl::check(CONF_modules_load(parsed.get(), nullptr, 0) > 0, "load the engine",
              Kind::unsupported);
  Engine engine(ossl::check_ptr(ENGINE_by_id("pkcs11"), "load the engine", Kind::unsupported));
  // As "ssl_engine" of nginx and "-engine" of openssl do.
  ossl::check(ENGINE_set_default(engine.get(), ENGINE_METHOD_ALL) == 1, "start the engine",
              Kind::unsupported);
  return engine;
}

Bytes sign(EVP_PKEY* key, const ossl::Scheme& scheme) {
  const ossl::DigestContext context(ossl::check_ptr(EVP_MD_CTX_new(), kDoing));
  EVP_PKEY_CTX* settings = nullptr;
  ossl::check(EVP_DigestSignInit(context.get(), &settings, scheme.digest->md(), nullptr, key) == 1,
              kDoing, Kind::token_failed);
  if (scheme.padding == ossl::Padding::pss) {
    ossl::check(EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1,
                "sign with PSS", Kind::unsupported);
  }
  const ByteView message = as_bytes(kMessage);
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes signature(size);
  ossl::check(
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1,
      kDoing, Kind::token_failed);
  signature.resize(size);
  return signature;
}

// SoftHSM and libp11 leave errors when they start and when they load a key; those the program
// clears before a handshake.
Bytes sign_in_handshake(EVP_PKEY* key, const ossl::Scheme& scheme) {
  ossl::clear_errors();
  Bytes signature = sign(key, scheme);
  const unsigned long left = ERR_peek_error();
  if (left == 0) return signature;
  const char* reason = ERR_reason_error_string(left);
  throw Error(Kind::unsupported,
              fmt::format("{}: the module signs, but leaves an error in OpenSSL's queue ({}), "
                          "which nginx takes for a failed handshake",
                          kDoing, printable(reason != nullptr ? reason : "of no name")))
      .hint("another module may leave none: OpenSC's for a PIV card");
}

// What is said for what a token does not do.
Error without_mechanism(const std::string& message, const ossl::Scheme& scheme) {
  Error error(Kind::unsupported, message);
  if (scheme.padding != ossl::Padding::pss) return error;
  return std::move(error).hint(
      "the token makes no RSA-PSS signatures, which TLS 1.3 wants of an RSA key: use an EC key");
}

// The child's whole work: the signatures in hex, a line each.
std::string be_the_program(const EngineUse& use, const std::optional<Account>& account,
                           std::span<const ossl::Scheme> schemes) {
  if (account) become(*account);
  const PrintedErrors printed;
  std::string doing = "load OpenSSL's pkcs11 engine";
  const ossl::Scheme* trying = nullptr;
  try {
    const Engine engine = load_engine(use.configuration);
    doing = "load the key through OpenSSL's pkcs11 engine";
    ossl::clear_errors();
    const ossl::PKey key(
        ossl::check_ptr(ENGINE_load_private_key(engine.get(), use.uri.c_str(), nullptr, nullptr),
                        doing, Kind::token_failed));
    doing = kDoing;
    std::string signatures;
    for (const ossl::Scheme& scheme : schemes) {
      trying = &scheme;
      const Bytes signature =
          use.wants_empty_queue ? sign_in_handshake(key.get(), scheme) : sign(key.get(), scheme);
      signatures += hex(signature) + '\n';
    }
    return signatures;
  } catch (const Error& error) {
    // libp11's own words tell more than the error queue, in which SoftHSM leaves what is no error.
    const std::string reasons = printed.text();
    const std::string message =
        reasons.empty() ? error.what() : fmt::format("{}: {}", doing, printable(reasons));
    if (!error.hint().empty()) throw;  // it says all that there is to say
    if (trying != nullptr && message.find(kNoMechanism) != std::string::npos)
      throw without_mechanism(message, *trying);
    throw seen_by(account, Error(error.kind(), message));
  }
}

bool known_to_libp11(const Key& key) { return key.type == CKK_RSA || key.type == CKK_EC; }

}  // namespace

std::string pkcs11_engine() {
  const std::string folder =
      variable("OPENSSL_ENGINES").value_or(OPENSSL_info(OPENSSL_INFO_ENGINES_DIR));
  const std::filesystem::path path = std::filesystem::path(folder) / "pkcs11.so";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return path;
  throw Error(Kind::unsupported,
              fmt::format("find OpenSSL's pkcs11 engine: there is no {}", quoted(path.string())))
      .hint("apt install libengine-pkcs11-openssl");
}

void check_usable_by_libp11(const Inventory& inventory, const Key& key) {
  const auto refuse = [&](const std::string& cause) {
    return Error(Kind::unsupported, fmt::format("use {} through libp11: {}", key.uri, cause));
  };
  if (!known_to_libp11(key)) {
    throw refuse(fmt::format("it knows RSA and EC keys, this one is {}", type_name(key)))
        .hint("make an RSA or EC key: hsmith key generate NAME --type ec:p256");
  }
  if (key.sign && !*key.sign) {
    throw refuse("the key may not sign")
        .hint("make a key with: hsmith key generate NAME --type rsa:2048 --use sign");
  }
  if (key.always_authenticate) {
    throw refuse("the key wants its own login for each signature, and a program has nobody to ask");
  }
  for (const Key& other : inventory.private_keys) {
    if (known_to_libp11(other)) continue;
    throw refuse(fmt::format("libp11 0.4.12 stops at the {} key {} on the same token",
                             type_name(other), other.uri))
        .hint("keep the keys of servers on a token without such keys")
        .candidates({other.uri});
  }
}

void check_pin_file_for_libp11(const std::string& path) {
  const Secret content = Secret::take(read_file(path, 4096));
  const std::string_view text = as_text(content.reveal());
  const std::size_t line_end = text.find_first_of("\r\n");
  if (line_end != std::string_view::npos) {
    const bool is_last_byte = line_end == text.size() - 1 && text.back() == '\n';
    throw Error(Kind::malformed,
                fmt::format("read the PIN file {}: it has a line feed, which libp11 would send as "
                            "a part of the PIN",
                            quoted(path)))
        .hint(is_last_byte ? "take the line feed at its end off: truncate -s -1 " + shell_word(path)
                           : "write the PIN, and nothing else, into the file");
  }
  if (text.size() > kLongestPin) {
    throw Error(Kind::unsupported, fmt::format("read the PIN file {}: libp11 reads no more than {} "
                                               "bytes of a PIN",
                                               quoted(path), kLongestPin));
  }
}

void sign_through_engine(const EngineUse& use, EVP_PKEY* public_key,
                         std::span<const ossl::Scheme> schemes) {
  std::optional<Account> account;
  if (use.user) account = account_of(*use.user);
  const std::string report =
      run_in_child(kDoing, kLimit, [&] { return be_the_program(use, account, schemes); });
  const std::vector<std::string> lines = split(report, '\n');
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    const auto signature = i < lines.size() ? parse_hex(lines[i]) : std::nullopt;
    const Bytes digest = ossl::digest(*schemes[i].digest, as_bytes(kMessage));
    if (signature && ossl::verify(public_key, schemes[i], digest, *signature)) continue;
    throw Error(Kind::token_failed,
                fmt::format("{}: the signature ({}) does not verify with the key's public half",
                            kDoing, ossl::describe(public_key, schemes[i])));
  }
}

}  // namespace hsmith::tokens
