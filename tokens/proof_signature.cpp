#include "tokens/proof_signature.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/ossl/check.h"

namespace hsmith::tokens {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLabel("hsmith key prove v1\0", 20);
constexpr std::size_t kNonceSize = 32;

Bytes hmac(ByteView key, ByteView data) {
  Bytes mac(32);
  std::size_t size = 0;
  ossl::check(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(),
                        data.data(), data.size(), mac.data(), mac.size(), &size) != nullptr,
              "compute an HMAC");
  return mac;
}

// What the scheme of a key signs: a digest, or with Ed25519 the bytes themselves.
Bytes input_of(const ossl::Scheme& scheme, ByteView bytes) {
  return scheme.digest != nullptr ? ossl::digest(*scheme.digest, bytes) : to_bytes(bytes);
}

Json stands_json(const Bundle& bundle) {
  Json json{{bundle.opened ? "opened" : "signature", hex(bundle.holder)}};
  if (bundle.witness) {
    json["witness"] = {{"public_key", hex(bundle.witness->public_key)},
                       {"signature", hex(bundle.witness->signature)}};
  }
  return json;
}

Bytes bytes_of(const Json& json) { return parse_hex(json.get<std::string>()).value_or(Bytes{}); }

Bundle bundle_of(std::string_view report, const Json& stands) {
  Bundle bundle;
  bundle.report = std::string(report);
  bundle.opened = stands.contains("opened");
  bundle.holder = bytes_of(stands.at(bundle.opened ? "opened" : "signature"));
  if (stands.contains("witness")) {
    bundle.witness = Witness{bytes_of(stands.at("witness").at("public_key")),
                             bytes_of(stands.at("witness").at("signature"))};
  }
  return bundle;
}

}  // namespace

Bytes signed_bytes(std::string_view report, ByteView challenge) {
  Bytes bytes = to_bytes(as_bytes(kLabel));
  const Bytes hash = ossl::digest(ossl::digest_named("sha256"), as_bytes(report));
  bytes.insert(bytes.end(), hash.begin(), hash.end());
  bytes.insert(bytes.end(), challenge.begin(), challenge.end());
  return bytes;
}

Bytes sign_bytes(ossl::RemoteKey& key, ByteView bytes) {
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key(), "", "");
  return key.sign(scheme, input_of(scheme, bytes));
}

bool verify_bytes(EVP_PKEY* key, ByteView bytes, ByteView signature) {
  const ossl::Scheme scheme = ossl::choose_scheme(key, "", "");
  return ossl::verify(key, scheme, input_of(scheme, bytes), signature);
}

Bytes open_challenge(ossl::RemoteKey& key, std::string_view report, ByteView challenge) {
  const Bytes bytes = signed_bytes(report, {});
  if (ossl::algorithm_of(key.public_key()) != ossl::KeyAlgorithm::rsa)
    return hmac(key.derive(challenge).reveal(), bytes);
  if (challenge.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key.public_key()))) {
    throw Error(Kind::usage,
                fmt::format("the challenge has {} bytes: a key that decrypts answers a nonce of "
                            "{} bytes that is encrypted to it, {} bytes",
                            challenge.size(), kNonceSize, EVP_PKEY_get_size(key.public_key())))
        .hint(
            "make one: openssl rand 32 > nonce; openssl pkeyutl -encrypt -pubin -inkey key.pem "
            "-pkeyopt rsa_padding_mode:oaep -in nonce | xxd -p -c 0");
  }
  const ossl::DigestType& sha1 = ossl::digest_named("sha1");
  const ossl::DecryptedKey nonce =
      key.decrypt_key({ossl::RsaPadding::oaep, &sha1, &sha1}, challenge, kNonceSize);
  return hmac(nonce.key.reveal(), bytes);
}

bool verify_opened(std::string_view report, ByteView nonce, ByteView mac) {
  const Bytes expected = hmac(nonce, signed_bytes(report, {}));
  return mac.size() == expected.size() &&
         CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) == 0;
}

std::string bundle_text(const Bundle& bundle) {
  return fmt::format("{}\n{}\n", bundle.report, stands_json(bundle).dump());
}

Bundle parse_bundle(std::string_view text, const std::string& input) {
  const std::size_t end = text.find('\n');
  try {
    if (end != std::string_view::npos) {
      const Bundle bundle = bundle_of(text.substr(0, end), parse_json(text.substr(end + 1)));
      if (bundle_text(bundle) == text) return bundle;
    }
  } catch (const nlohmann::json::exception&) {  // what is wrong is said below
  }
  throw Error(Kind::malformed,
              fmt::format("read {}: this is not a bundle as hsmith key prove writes it", input))
      .hint("a bundle is two lines of JSON, and no byte of it may be changed");
}

}  // namespace hsmith::tokens
