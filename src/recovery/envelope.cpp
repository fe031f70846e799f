#include "src/recovery/envelope.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/decrypt.h"
#include "src/cms/encrypt.h"
#include "src/cms/recipient_infos.h"
#include "src/recovery/agents.h"

namespace hsmith::recovery {

Bytes make_envelope(ByteView plaintext, std::span<const EnvelopeTo> to) {
  const cms::ContentCipher& cipher = cms::cipher_to_encrypt_with("aes-256-cbc");
  const Secret key = cms::fresh_key(cipher);
  std::vector<Bytes> infos;
  for (const EnvelopeTo& recipient : to) {
    infos.push_back(
        cms::transport_info(recipient.certificate, encryption_of(recipient.ability), key));
  }
  return cms::envelop(plaintext, cms::fresh_settings(cipher), key, std::move(infos));
}

Envelope read_envelope(ByteView content_info, std::string_view input) {
  Envelope envelope;
  envelope.content_info = std::make_shared<const Bytes>(to_bytes(content_info));
  envelope.data =
      cms::read_enveloped_data(cms::read_content_info(*envelope.content_info, input), input);
  if (envelope.data.cipher.cipher->authenticated) {
    throw Error(Kind::unsupported,
                fmt::format("read {}: archived keys are encrypted in CBC, not by {}", quoted(input),
                            envelope.data.cipher.cipher->name));
  }
  return envelope;
}

std::string ability_of(const cms::Recipient& recipient) {
  if (recipient.kind != cms::Recipient::Kind::rsa || recipient.refusal) return "";
  const ossl::RsaEncryption& how = recipient.rsa;
  if (how.padding == ossl::RsaPadding::pkcs1) return kPkcs1;
  for (const char* ability : {kOaepSha256, kOaepSha1}) {
    const auto known = encryption_of(ability);
    if (how.digest == known.digest && how.mgf1 == known.mgf1 && how.label.empty()) return ability;
  }
  return "";
}

Secret open_envelope(const Envelope& envelope, const cms::Recipient& recipient,
                     ossl::RemoteKey& key, std::string_view input) {
  return Secret::take(cms::decrypt(envelope.data, recipient, key, input));
}

}  // namespace hsmith::recovery
