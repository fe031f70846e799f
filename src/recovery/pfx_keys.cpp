#include "src/recovery/pfx_keys.h"

#include <openssl/hmac.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>

#include "src/cms/content_cipher.h"
#include "src/cms/der.h"
#include "src/cms/encrypt.h"
#include "src/ossl/check.h"

namespace hsmith::recovery {
namespace {

using cms::der;
using cms::der_oid;
using cms::kInteger;
using cms::kOctetString;
using cms::kSequence;

// They cost whoever guesses passwords a tenth of a second each; the MAC is what a guess is tried
// on.
constexpr int kIterations = 200'000;
constexpr unsigned char kIterationsDer[]{0x03, 0x0d, 0x40};
constexpr std::size_t kSalt = 16;
constexpr std::size_t kKey = 32;
constexpr unsigned char kContext0 = cms::context_tag(0) | cms::kConstructed;

const cms::ContentCipher& cipher() { return cms::cipher_to_encrypt_with("aes-256-cbc"); }

Bytes random_salt() {
  Bytes salt(kSalt);
  ossl::check(RAND_bytes(salt.data(), static_cast<int>(salt.size())) == 1, "make a salt");
  return salt;
}

// RFC 8018, A.2 and A.4.
Bytes algorithm_of(const PfxKeys& keys, const cms::CipherSettings& settings) {
  const Bytes prf = der(kSequence, {der_oid(NID_hmacWithSHA256), der(V_ASN1_NULL, {})});
  const Bytes derivation = der(
      kSequence,
      {der_oid(NID_id_pbkdf2), der(kSequence, {der(kOctetString, {keys.salt}),
                                               der(kInteger, {ByteView(kIterationsDer)}), prf})});
  return der(kSequence,
             {der_oid(NID_pbes2), der(kSequence, {derivation, cms::der_cipher(settings)})});
}

Bytes run(cms::CipherStream::Direction direction, const PfxKeys& keys,
          const cms::CipherSettings& settings, ByteView input, bool& good) {
  cms::CipherStream stream(direction, settings, keys.encryption);
  Bytes output(input.size() + cms::kLargestBlock);
  const std::size_t size = stream.update(input, output.data());
  const auto last = stream.finish(output.data() + size);
  good = last.has_value();
  output.resize(size + last.value_or(0));
  return output;
}

Bytes mac_of(const PfxKeys& keys, ByteView content) {
  Bytes mac(32);
  unsigned int size = 0;
  const ByteView key = keys.mac.reveal();
  ossl::check(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), content.data(),
                   content.size(), mac.data(), &size) != nullptr &&
                  size == mac.size(),
              "make the MAC of PKCS#12");
  return mac;
}

// MacData (RFC 7292, 4).
Bytes mac_data(const PfxKeys& keys, ByteView content) {
  const Bytes algorithm = der(kSequence, {der_oid(NID_sha256), der(V_ASN1_NULL, {})});
  return der(kSequence,
             {der(kSequence, {algorithm, der(kOctetString, {mac_of(keys, content)})}),
              der(kOctetString, {keys.mac_salt}), der(kInteger, {ByteView(kIterationsDer)})});
}

}  // namespace

PfxKeys derive_pfx_keys(const Secret& password) {
  PfxKeys keys;
  keys.salt = random_salt();
  keys.mac_salt = random_salt();
  const auto* text = reinterpret_cast<const char*>(password.reveal().data());
  const int size = static_cast<int>(password.size());
  Bytes encryption(kKey);
  Bytes mac(kKey);
  ossl::check(PKCS5_PBKDF2_HMAC(size == 0 ? "" : text, size, keys.salt.data(), kSalt, kIterations,
                                EVP_sha256(), kKey, encryption.data()) == 1 &&
                  PKCS12_key_gen_utf8_ex(size == 0 ? "" : text, size, keys.mac_salt.data(), kSalt,
                                         PKCS12_MAC_ID, kIterations, kKey, mac.data(), EVP_sha256(),
                                         nullptr, nullptr) == 1,
              "derive the keys of PKCS#12 from its password");
  keys.encryption = Secret::take(std::move(encryption));
  keys.mac = Secret::take(std::move(mac));
  return keys;
}

Pbes2 pbes2_encrypt(const PfxKeys& keys, ByteView plaintext) {
  const cms::CipherSettings settings = cms::fresh_settings(cipher());
  bool good = false;
  Pbes2 made{algorithm_of(keys, settings),
             run(cms::CipherStream::Direction::encrypt, keys, settings, plaintext, good)};
  ossl::check(good, "encrypt for PKCS#12");
  return made;
}

std::optional<Secret> pbes2_decrypt(const PfxKeys& keys, ByteView algorithm, ByteView encrypted) {
  const std::size_t iv_size = cipher().iv_size;
  if (algorithm.size() < iv_size) return std::nullopt;
  cms::CipherSettings settings;
  settings.cipher = &cipher();
  settings.iv = to_bytes(algorithm.last(iv_size));  // it stands last
  if (!equal(algorithm_of(keys, settings), algorithm)) return std::nullopt;
  bool good = false;
  Bytes plaintext = run(cms::CipherStream::Direction::decrypt, keys, settings, encrypted, good);
  Secret secret = Secret::take(std::move(plaintext));
  if (!good) return std::nullopt;
  return secret;
}

Bytes pfx_around(const PfxKeys& keys, ByteView authenticated_safe) {
  constexpr unsigned char kVersion[]{3};
  const Bytes content = der(kSequence, {der_oid(NID_pkcs7_data),
                                        der(kContext0, {der(kOctetString, {authenticated_safe})})});
  return der(kSequence,
             {der(kInteger, {ByteView(kVersion)}), content, mac_data(keys, authenticated_safe)});
}

bool has_mac_of(const PfxKeys& keys, ByteView pfx) {
  cms::Reader fields(cms::Reader(pfx, "PKCS#12").take(kSequence, "the PFX"), "PKCS#12");
  fields.take(kInteger, "its version");
  cms::Reader info(fields.take(kSequence, "its content"), "PKCS#12");
  info.take(cms::kOid, "the content's type");
  const cms::Element content =
      cms::Reader(info.take(kContext0, "the content"), "PKCS#12").take(kOctetString, "its octets");
  return equal(fields.take(kSequence, "the MAC").whole, mac_data(keys, content.content));
}

}  // namespace hsmith::recovery
