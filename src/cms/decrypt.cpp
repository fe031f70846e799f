#include "src/cms/decrypt.h"

#include <fmt/format.h>

#include "src/base/text.h"

namespace hsmith::cms {
namespace {

using ossl::DecryptedKey;

DecryptedKey agreed_key(const Recipient& recipient, ossl::RemoteKey& key, std::size_t size) {
  const Agreement& agreement = recipient.agreement;
  const Secret shared = key.derive(agreement.point);
  const Secret wrapping = key_encryption_key(shared, *agreement.digest, agreement.shared_info,
                                             agreement.wrap->key_size);
  auto unwrapped = unwrap_key(*agreement.wrap, wrapping, recipient.encrypted_key);
  if (!unwrapped || unwrapped->size() != size) return ossl::random_key(size);
  return {std::move(*unwrapped), true};
}

// Feeds the octets, which may be cut into segments, without putting them together first.
std::size_t feed(CipherStream& stream, const Element& octets, unsigned char* out) {
  if (!octets.is_constructed()) return stream.update(octets.content, out);
  std::size_t written = 0;
  for (Reader reader(octets, "the encrypted content"); reader.more();)
    written += feed(stream, reader.next(), out + written);
  return written;
}

// False when padding or tag are wrong.
bool decrypt_content(const EnvelopedData& message, const Secret& key, Bytes& content) {
  CipherStream stream(CipherStream::Direction::decrypt, message.cipher, key);
  if (!message.authenticated_attributes.empty())
    stream.add_authenticated(message.authenticated_attributes);
  content.resize(octets_size(message.content) + kLargestBlock);
  std::size_t size = feed(stream, message.content, content.data());
  if (message.cipher.cipher->authenticated) stream.expect_tag(message.tag);
  const auto last = stream.finish(content.data() + size);
  content.resize(size + last.value_or(0));
  return last.has_value();
}

}  // namespace

Bytes decrypt(const EnvelopedData& message, const Recipient& recipient, ossl::RemoteKey& key,
              std::string_view input) {
  if (recipient.refusal) throw *recipient.refusal;
  const std::size_t key_size = message.cipher.cipher->key_size;
  const DecryptedKey content_key =
      recipient.kind == Recipient::Kind::rsa
          ? key.decrypt_key(recipient.rsa, recipient.encrypted_key, key_size)
          : agreed_key(recipient, key, key_size);
  Bytes content;
  const bool content_good = decrypt_content(message, content_key.key, content);
  const bool good = (static_cast<int>(content_good) & static_cast<int>(content_key.good)) != 0;
  if (good) return content;
  wipe(content.data(), content.size());
  throw Error(Kind::decryption_failed,
              fmt::format("decrypt {}: it was changed or damaged, or encrypted for another key",
                          quoted(input)));
}

}  // namespace hsmith::cms
