// JSON Web Signatures, compact (RFC 7515, RFC 7518, RFC 8037), with the certificate in x5c.
#pragma once

#include <openssl/evp.h>
#include <string>
#include <string_view>

#include "src/cms/sign.h"
#include "src/cms/verify.h"

namespace hsmith::cms {

// True for a text of three parts in base64url of which the first begins as a JSON object.
bool looks_like_jws(ByteView content);
// The same for the start of a text.
bool begins_like_jws(ByteView start);

// The JWS over a content, without a line end. Detached (RFC 7515, appendix F): the middle part is
// empty, constant memory but for Ed25519, which takes 64 MiB at most. What is given out was read
// again and verified. Throws unsupported for a key or digest that no JWS algorithm has.
std::string make_jws(const Signing& signing, Placing placing, const Content& content);

// Verifies a JWS with `key` or, when that is null, with the first certificate of its x5c; other
// hints of its header (jwk, jku, x5u, kid) are never followed. There is one signature in it.
// Throws malformed for what is no JWS, unsupported for "crit" and algorithms that are no signature
// of a public key ("none", HMAC), usage when the content is missing.
VerifiedMessage verify_jws(ByteView text, const Content* detached, EVP_PKEY* key,
                           std::string_view input);

}  // namespace hsmith::cms
