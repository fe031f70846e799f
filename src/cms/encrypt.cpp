#include "src/cms/encrypt.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/objects.h>
#include <openssl/rand.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/der.h"
#include "src/cms/enveloped_data.h"
#include "src/cms/recipient_infos.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/weak_keys.h"

namespace hsmith::cms {
namespace {

using ossl::KeyAlgorithm;
using Direction = CipherStream::Direction;

constexpr unsigned char kContext0 = context_tag(0) | kConstructed;
constexpr std::size_t kSegment = 64u << 10;
constexpr std::uint64_t kMostGcm = (std::uint64_t{1} << 36) - 32;
constexpr std::array<unsigned char, 2> kEndMark{0, 0};
constexpr std::array<unsigned char, 1> kZero{0}, kTwo{2};

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  ossl::check(RAND_bytes(bytes.data(), static_cast<int>(size)) == 1, "make random bytes");
  return bytes;
}

void append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

// ---- Recipients.

Bytes recipients_set(const Encryption& encryption, const Secret& content_key, bool& only_rsa) {
  const ossl::DigestType& sha256 = ossl::digest_named("sha256");
  const ossl::RsaEncryption how{encryption.rsa_padding, &sha256, &sha256};
  std::vector<Bytes> infos;
  for (const ossl::Certificate& certificate : encryption.recipients) {
    const bool rsa =
        ossl::algorithm_of(x509::public_key_of(certificate.get())) == KeyAlgorithm::rsa;
    only_rsa &= rsa;
    infos.push_back(rsa ? transport_info(certificate.get(), how, content_key)
                        : agreement_info(certificate.get(), content_key));
  }
  return recipient_infos(std::move(infos));
}

// ---- The message around the content, whose length nobody knows before its end.

struct Frame {
  CipherSettings settings;
  Secret key;
  Bytes start;  // up to the first segment of the content

  // Behind the last segment.
  Bytes end(const CipherStream& stream) const {
    Bytes bytes;
    append(bytes, kEndMark);  // [0], the encrypted content
    append(bytes, kEndMark);  // EncryptedContentInfo
    if (settings.cipher->authenticated) append(bytes, der(kOctetString, {stream.tag()}));
    for (int i = 0; i < 3; ++i) append(bytes, kEndMark);  // EnvelopedData, [0], ContentInfo
    return bytes;
  }
};

Frame make_frame(const Encryption& encryption) {
  const ContentCipher& cipher = *encryption.cipher;
  Frame frame{fresh_settings(cipher), fresh_key(cipher), {}};
  bool only_rsa = true;
  const Bytes recipients = recipients_set(encryption, frame.key, only_rsa);
  const bool version_0 = only_rsa || cipher.authenticated;  // RFC 5652, 6.1; RFC 5083, 2.1
  const auto open = [&](unsigned char tag) {  // a constructed form of indefinite length
    const std::array<unsigned char, 2> header{tag, 0x80};
    append(frame.start, header);
  };
  open(kSequence);
  append(frame.start,
         der_oid(cipher.authenticated ? NID_id_smime_ct_authEnvelopedData : NID_pkcs7_enveloped));
  open(kContext0);
  open(kSequence);
  append(frame.start, der(kInteger, {version_0 ? kZero : kTwo}));
  append(frame.start, recipients);
  open(kSequence);
  append(frame.start, der_oid(NID_pkcs7_data));
  append(frame.start, der_cipher(frame.settings));
  open(kContext0);
  return frame;
}

// Of a segment: every one but the last has kSegment bytes.
Bytes segment_header(std::size_t size) {
  return {kOctetString, 0x83, static_cast<unsigned char>(size >> 16),
          static_cast<unsigned char>(size >> 8), static_cast<unsigned char>(size)};
}

void put_segment(NewFile& file, ByteView segment) {
  if (segment.empty()) return;
  file.put(segment_header(segment.size()));
  file.put(segment);
}

struct Written {
  std::uint64_t size = 0;  // of the encrypted content
  Bytes digest;            // of the content
  Bytes end;
};

Written write_message(const Frame& frame, const Content& content, NewFile& file) {
  file.put(frame.start);
  CipherStream stream(Direction::encrypt, frame.settings, frame.key);
  ossl::Hasher hasher(ossl::digest_named("sha256"));
  Written written;
  Bytes segment;
  Bytes encrypted;
  const auto flush_whole_segments = [&] {
    std::size_t done = 0;
    for (; segment.size() - done >= kSegment; done += kSegment)
      put_segment(file, ByteView(segment).subspan(done, kSegment));
    segment.erase(segment.begin(), segment.begin() + static_cast<std::ptrdiff_t>(done));
  };
  content([&](ByteView block) {
    hasher.update(block);
    encrypted.resize(block.size() + kLargestBlock);
    const std::size_t size = stream.update(block, encrypted.data());
    written.size += size;
    if (frame.settings.cipher->authenticated && written.size > kMostGcm) {
      throw Error(Kind::unsupported, "encrypt: AES-GCM encrypts no more than 64 GiB with one key")
          .hint("use --cipher aes-256-cbc");
    }
    append(segment, ByteView(encrypted).first(size));
    flush_whole_segments();
  });
  std::array<unsigned char, kLargestBlock> last;
  const auto size = stream.finish(last.data());
  ossl::check(size.has_value(), "end the content's cipher");
  written.size += *size;
  append(segment, ByteView(last).first(*size));
  flush_whole_segments();
  put_segment(file, segment);
  written.digest = hasher.finish();
  written.end = frame.end(stream);
  file.put(written.end);
  return written;
}

// ---- The same file, read again.

[[noreturn]] void refuse_written(std::string_view what) {
  throw Error(Kind::io,
              fmt::format("encrypt: {} is not as it was written; the file is not kept", what));
}

void expect(NewFile& file, ByteView wanted, std::string_view what) {
  Bytes found(wanted.size());
  if (!file.get(found) || found != Bytes(wanted.begin(), wanted.end())) refuse_written(what);
}

void check_content(const Frame& frame, const Written& written, NewFile& file) {
  CipherStream stream(Direction::decrypt, frame.settings, frame.key);
  ossl::Hasher hasher(ossl::digest_named("sha256"));
  Bytes encrypted(kSegment);
  Bytes decrypted(kSegment + kLargestBlock);
  for (std::uint64_t rest = written.size; rest > 0; rest -= encrypted.size()) {
    encrypted.resize(static_cast<std::size_t>(std::min<std::uint64_t>(rest, kSegment)));
    expect(file, segment_header(encrypted.size()), "the content's structure");
    if (!file.get(encrypted)) refuse_written("the content");
    hasher.update(ByteView(decrypted).first(stream.update(encrypted, decrypted.data())));
  }
  if (frame.settings.cipher->authenticated) {
    // Behind the end marks of content and content info, and a header of two bytes.
    stream.expect_tag(ByteView(written.end).subspan(6, kTagSize));
  }
  const auto last = stream.finish(decrypted.data());
  if (!last) refuse_written("the content");
  hasher.update(ByteView(decrypted).first(*last));
  if (hasher.finish() != written.digest) refuse_written("the content");
}

// The structure, read by what reads foreign messages: with the frame and no content it is a
// message too.
void check_recipients(const Frame& frame, const Written& written, const Encryption& encryption) {
  Bytes message = frame.start;
  append(message, written.end);
  const EnvelopedData read =
      read_enveloped_data(read_content_info(message, "the message"), "the message");
  if (read.recipients.size() != encryption.recipients.size()) refuse_written("a recipient");
  for (const ossl::Certificate& certificate : encryption.recipients) {
    const bool found = std::any_of(
        read.recipients.begin(), read.recipients.end(), [&](const Recipient& recipient) {
          return !recipient.refusal && names(recipient.name, certificate.get());
        });
    if (!found) refuse_written("a recipient");
  }
}

}  // namespace

CipherSettings fresh_settings(const ContentCipher& cipher) {
  return {&cipher, random_bytes(cipher.iv_size), cipher.authenticated ? kTagSize : 0};
}

Secret fresh_key(const ContentCipher& cipher) {
  return Secret::take(random_bytes(cipher.key_size));
}

Bytes envelop(ByteView content, const CipherSettings& settings, const Secret& key,
              std::vector<Bytes> infos) {
  CipherStream stream(Direction::encrypt, settings, key);
  Bytes encrypted(content.size() + kLargestBlock);
  std::size_t size = stream.update(content, encrypted.data());
  const auto last = stream.finish(encrypted.data() + size);
  ossl::check(last.has_value(), "end the content's cipher");
  encrypted.resize(size + *last);
  const Bytes encrypted_content = der(
      kSequence, {der_oid(NID_pkcs7_data), der_cipher(settings), der(context_tag(0), {encrypted})});
  const Bytes data = der(
      kSequence, {der(kInteger, {kZero}), recipient_infos(std::move(infos)), encrypted_content});
  return der(kSequence, {der_oid(NID_pkcs7_enveloped), der(kContext0, {data})});
}

void check_recipient(X509* certificate, std::time_t time, std::string_view name) {
  const auto refuse = [&](const std::string& cause) {
    return Error(Kind::refused, fmt::format("encrypt to {}: {}", name, cause));
  };
  EVP_PKEY* key = x509::public_key_of(certificate);
  const std::string type = ossl::key_type_name(key);
  const KeyAlgorithm algorithm = ossl::algorithm_of(key);
  if (algorithm == KeyAlgorithm::ed25519 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
    throw Error(
        Kind::unsupported,
        fmt::format("encrypt to {}: nothing can be encrypted for a key of type {}", name, type))
        .hint("ask for a certificate for encryption, with an RSA or EC key");
  }
  const x509::CertificateFacts facts = x509::certificate_facts(certificate);
  if (time > facts.not_after) {
    throw refuse("it expired at " + rfc3339(facts.not_after))
        .hint("ask its owner for the certificate in service");
  }
  if (time < facts.not_before) throw refuse("it is not valid before " + rfc3339(facts.not_before));
  const char* usage = algorithm == KeyAlgorithm::rsa ? "keyEncipherment" : "keyAgreement";
  const std::vector<std::string>& usages = facts.extensions.key_usage;
  if (!usages.empty() && std::find(usages.begin(), usages.end(), usage) == usages.end()) {
    throw refuse(fmt::format("it is not for encryption, its key usage lacks {}", usage))
        .hint("ask its owner for the certificate for encryption; many have two");
  }
  for (const x509::Finding& finding : x509::key_weaknesses(key)) {
    if (finding.severity == x509::Severity::error) throw refuse(finding.text);
  }
}

void encrypt(const Encryption& encryption, const Content& content, NewFile& file) {
  ossl::clear_errors();
  const Frame frame = make_frame(encryption);
  const Written written = write_message(frame, content, file);
  check_recipients(frame, written, encryption);
  file.rewind();
  expect(file, frame.start, "the recipients");
  check_content(frame, written, file);
  expect(file, written.end, "the end");
  if (!file.at_end()) refuse_written("the end");
}

}  // namespace hsmith::cms
