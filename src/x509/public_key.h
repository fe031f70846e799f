// What certificates and requests say of their key and their signature.
#pragma once

#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

namespace hsmith::x509 {

struct KeyFacts {
  std::string type;    // "rsa:2048"; the algorithm's OID when the key cannot be read
  int bits = 0;        // 0 when the key cannot be read
  std::string sha256;  // of the SubjectPublicKeyInfo, hex
};
KeyFacts key_facts(const X509_PUBKEY* key);

// The key itself, borrowed. Throws malformed when it cannot be read and unsupported when OpenSSL
// does not know its algorithm; `owner` is what the message calls it.
EVP_PKEY* borrow_key(const X509_PUBKEY* key, std::string_view owner);

// "sha256WithRSAEncryption", or a dotted OID.
std::string algorithm_name(const X509_ALGOR* algorithm);

// False when the parameters of a signature algorithm are not those that RFC 4055, 5758 and 8410
// ask for. OpenSSL ignores them for all but RSASSA-PSS.
bool parameters_fit(const X509_ALGOR* algorithm);

// The digest inside a signature algorithm, RSASSA-PSS included; NID_undef where there is none.
int digest_nid_of(const X509_ALGOR* algorithm);

// The dotted form.
std::string oid_text(const ASN1_OBJECT* object);

// One public key: PEM ("PUBLIC KEY") or the DER of a SubjectPublicKeyInfo. `input` as refuse_kind
// has it. Throws malformed.
ossl::PKey read_public_key(ByteView content, std::string_view input);

}  // namespace hsmith::x509
