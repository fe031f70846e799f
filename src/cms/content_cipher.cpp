#include "src/cms/content_cipher.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <iterator>
#include <openssl/objects.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/der.h"
#include "src/ossl/check.h"

namespace hsmith::cms {
namespace {

constexpr ContentCipher kCiphers[] = {
    {"aes-256-cbc", NID_aes_256_cbc, EVP_aes_256_cbc, 32, 16, false},
    {"aes-256-gcm", NID_aes_256_gcm, EVP_aes_256_gcm, 32, 12, true},
    {"aes-192-cbc", NID_aes_192_cbc, EVP_aes_192_cbc, 24, 16, false},
    {"aes-192-gcm", NID_aes_192_gcm, EVP_aes_192_gcm, 24, 12, true},
    {"aes-128-cbc", NID_aes_128_cbc, EVP_aes_128_cbc, 16, 16, false},
    {"aes-128-gcm", NID_aes_128_gcm, EVP_aes_128_gcm, 16, 12, true},
    {"des-ede3-cbc", NID_des_ede3_cbc, EVP_des_ede3_cbc, 24, 8, false},
};
constexpr std::array<std::string_view, 2> kToEncryptWith{"aes-256-cbc", "aes-256-gcm"};

// RFC 5084, 3.2: 12 octets are recommended. What is longer than a block is refused: OpenSSL had an
// overflow there (CVE-2025-15467).
constexpr std::size_t kShortestNonce = 8;
constexpr std::size_t kLongestNonce = 16;

const ContentCipher* cipher_of(int nid) {
  const auto* found = std::find_if(std::begin(kCiphers), std::end(kCiphers),
                                   [nid](const ContentCipher& c) { return c.nid == nid; });
  return found == std::end(kCiphers) ? nullptr : found;
}

// GCMParameters (RFC 5084, 3.2).
void read_gcm(const Element& parameters, Reader& algorithm, CipherSettings& settings) {
  Reader reader(parameters, "the parameters of GCM");
  settings.iv = to_bytes(reader.take(kOctetString, "the nonce").content);
  settings.tag_size = 12;
  if (const auto size = reader.take_if(kInteger)) {
    if (size->content.size() != 1) reader.refuse("the length of the tag is out of range");
    settings.tag_size = size->content[0];
  }
  reader.end();
  if (settings.iv.size() < kShortestNonce || settings.iv.size() > kLongestNonce)
    algorithm.refuse(fmt::format("a nonce of {} bytes is out of range", settings.iv.size()));
  if (settings.tag_size < 12 || settings.tag_size > kTagSize)
    algorithm.refuse(fmt::format("a tag of {} bytes is out of range", settings.tag_size));
}

}  // namespace

const ContentCipher& cipher_to_encrypt_with(std::string_view name) {
  if (std::find(kToEncryptWith.begin(), kToEncryptWith.end(), name) == kToEncryptWith.end())
    throw Error(Kind::usage, fmt::format("--cipher {}: there is no such cipher", quoted(name)))
        .hint("ciphers are aes-256-cbc and aes-256-gcm");
  return *std::find_if(std::begin(kCiphers), std::end(kCiphers),
                       [name](const ContentCipher& cipher) { return name == cipher.name; });
}

CipherSettings read_cipher(const Element& algorithm, std::string_view what) {
  Reader reader(algorithm, what);
  const Element oid = reader.take(kOid, "the content's cipher");
  CipherSettings settings;
  settings.cipher = cipher_of(nid_of(oid));
  if (settings.cipher == nullptr) {
    throw Error(Kind::unsupported,
                fmt::format("read {}: the content's cipher is {}", what, oid_text(oid)))
        .hint("hsmith decrypts AES and Triple DES (CBC), and AES-GCM; ask for the message again");
  }
  if (settings.cipher->authenticated) {
    read_gcm(reader.take(kSequence, "the parameters of GCM"), reader, settings);
  } else {
    settings.iv = to_bytes(reader.take(kOctetString, "the IV").content);
    if (settings.iv.size() != settings.cipher->iv_size)
      reader.refuse(fmt::format("an IV of {} bytes does not fit {}", settings.iv.size(),
                                settings.cipher->name));
  }
  reader.end();
  return settings;
}

Bytes der_cipher(const CipherSettings& settings) {
  const Bytes iv = der(kOctetString, {settings.iv});
  if (!settings.cipher->authenticated) return der(kSequence, {der_oid(settings.cipher->nid), iv});
  const std::array<unsigned char, 1> tag_size{static_cast<unsigned char>(settings.tag_size)};
  return der(kSequence,
             {der_oid(settings.cipher->nid), der(kSequence, {iv, der(kInteger, {tag_size})})});
}

CipherStream::CipherStream(Direction direction, const CipherSettings& settings, const Secret& key)
    : context_(EVP_CIPHER_CTX_new()) {
  const char* doing = "start the content's cipher";
  ossl::clear_errors();
  const int encrypts = direction == Direction::encrypt ? 1 : 0;
  ossl::check(context_ && key.size() == settings.cipher->key_size &&
                  EVP_CipherInit_ex(context_.get(), settings.cipher->evp(), nullptr, nullptr,
                                    nullptr, encrypts) == 1,
              doing);
  if (settings.cipher->authenticated) {
    ossl::check(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_IVLEN,
                                    static_cast<int>(settings.iv.size()), nullptr) == 1,
                doing);
  }
  ossl::check(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, key.reveal().data(),
                                settings.iv.data(), encrypts) == 1,
              doing);
}

void CipherStream::add_authenticated(ByteView data) {
  int ignored = 0;
  ossl::check(EVP_CipherUpdate(context_.get(), nullptr, &ignored, data.data(),
                               static_cast<int>(data.size())) == 1,
              "authenticate attributes");
}

std::size_t CipherStream::update(ByteView in, unsigned char* out) {
  // OpenSSL counts with int.
  constexpr std::size_t kStep = std::size_t{1} << 30;
  std::size_t written = 0;
  while (!in.empty()) {
    const ByteView step = in.first(std::min(in.size(), kStep));
    int size = 0;
    ossl::check(EVP_CipherUpdate(context_.get(), out + written, &size, step.data(),
                                 static_cast<int>(step.size())) == 1,
                "run the content's cipher");
    written += static_cast<std::size_t>(size);
    in = in.subspan(step.size());
  }
  return written;
}

std::optional<std::size_t> CipherStream::finish(unsigned char* out) {
  int size = 0;
  const bool good = EVP_CipherFinal_ex(context_.get(), out, &size) == 1;
  ossl::clear_errors();
  if (!good) return std::nullopt;
  return static_cast<std::size_t>(size);
}

Bytes CipherStream::tag() const {
  Bytes tag(kTagSize);
  ossl::check(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                                  static_cast<int>(tag.size()), tag.data()) == 1,
              "make the content's tag");
  return tag;
}

void CipherStream::expect_tag(ByteView tag) {
  ossl::check(
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                          const_cast<unsigned char*>(tag.data())) == 1,
      "set the content's tag");
}

}  // namespace hsmith::cms
