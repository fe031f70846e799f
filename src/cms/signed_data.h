// SignedData (RFC 5652, 5): its structure, checked before OpenSSL sees it.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/cms/ber.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/handles.h"

namespace hsmith::cms {

// How a signer is named: by issuer and serial number, or by the key identifier.
struct SignerName {
  ByteView issuer;  // Name, DER
  ByteView serial;  // INTEGER's content
  ByteView key_identifier;
};

struct SignerInfo {
  SignerName name;
  const ossl::DigestType* digest = nullptr;
  bool pss = false;
  bool has_signed_attributes = false;
  std::optional<std::time_t> signing_time;        // as the signer claims
  std::optional<Element> signing_certificate;     // RFC 5035, 5.4.1.1 (SHA-1)
  std::optional<Element> signing_certificate_v2;  // RFC 5035, 5.4.1.2
};

struct SignedData {
  std::optional<Element> content;     // the OCTET STRING; absent: detached
  std::vector<Element> certificates;  // each a Certificate; other kinds are left out
  std::vector<SignerInfo> signers;    // at least one, in the message's order
};

// Reads what cms::read_content_info() found to be SignedData. Throws malformed for a structure that
// no signer makes: no signer info, one of them twice, an algorithm that its own list lacks or that
// contradicts itself, missing or repeated attributes; unsupported for more than 100 signers or
// 1,000 certificates, for digests and algorithms that hsmith does not have. Views are of `content`.
SignedData read_signed_data(const Element& content, std::string_view input);

// True when `name` names this certificate, byte for byte.
bool names(const SignerName& name, X509* certificate);

// "issuer CN=..., serial 0a" or "key identifier 0a0b".
std::string name_text(const SignerName& name);

}  // namespace hsmith::cms
