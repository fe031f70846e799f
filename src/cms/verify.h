// CMS signatures verified (RFC 5652, 5.6): each signer for itself. Whether a signer's certificate
// is to be trusted is x509::verify_path()'s question.
#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/cms/signed_data.h"
#include "src/ossl/handles.h"

namespace hsmith::cms {

// Gives a content block by block, once.
using Content = std::function<void(const std::function<void(ByteView)>& take)>;

enum class WeakDigest { refuse, accept };

// One signature of a message, CMS or JWS.
struct Signature {
  std::string signer;             // the certificate's subject, or how the message names the signer
  ossl::Certificate certificate;  // null: it is not among those given
  std::string scheme;             // "ECDSA with sha256"; "" when it is not known
  std::optional<std::time_t> signing_time;  // as the signer claims
  bool verifies = false;
  std::string problem;  // one line; "" when it verifies
};

// The digests of a content, made while it passes by.
class ContentDigests {
 public:
  explicit ContentDigests(std::span<const ossl::DigestType* const> types);
  void update(ByteView block);
  BIO* chain() const { return chain_.get(); }

 private:
  ossl::Bio chain_;
};

// Verifies the signatures of a message whose structure read_signed_data() accepted, over the
// content that `digests` saw. Certificates are looked for in the message's `own`, then in `others`.
// SHA-1 proves nothing against who chose the content: its signatures verify only when it is
// accepted.
std::vector<Signature> verify_signatures(ByteView ber, const SignedData& data,
                                         const ContentDigests& digests,
                                         std::span<const ossl::Certificate> own,
                                         std::span<const ossl::Certificate> others,
                                         WeakDigest weak_digest, std::string_view input);

// The digests that the signers of a message use.
std::vector<const ossl::DigestType*> digests_of(const SignedData& data);

// The X.509 certificates of a message; those that cannot be read are left out.
std::vector<ossl::Certificate> certificates_of(const SignedData& data);

struct VerifiedMessage {
  std::vector<Signature> signatures;            // at least one
  std::vector<ossl::Certificate> certificates;  // that came with the message
  std::optional<Bytes> content;                 // of a message that holds it
};

// The whole of it: reads a SignedData message (BER) and verifies its own content or, where it has
// none, `detached`. Throws malformed for a message that is no SignedData, usage when the content is
// missing, unsupported for a content above 512 MiB.
VerifiedMessage verify_message(ByteView ber, const Content* detached,
                               std::span<const ossl::Certificate> others, WeakDigest weak_digest,
                               std::string_view input);

}  // namespace hsmith::cms
