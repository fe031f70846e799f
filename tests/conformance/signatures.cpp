#include <algorithm>

#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "tests/conformance/answer.h"

namespace hsmith::conformance {
namespace {

// hsmith's PSS has a salt as long as the digest, and MGF1 with the same digest.
bool is_our_pss(const Json& group, const ossl::DigestType& digest) {
  return group.at("mgfSha") == group.at("sha") && group.at("sLen") == digest.size;
}

std::string digest_of(const Json& group) {
  return group.contains("sha") ? group.at("sha").get<std::string>() : "";
}

}  // namespace

Answer verify_signature(const Json& group, const Json& test) {
  ossl::PKey key;
  ossl::Scheme scheme;
  const bool pss = group.contains("mgf");
  try {
    key = ossl::public_key_from_spki(bytes_of(group, "publicKeyDer"));
    scheme = ossl::choose_scheme(key.get(), pss ? "pss" : "", digest_of(group));
  } catch (const Error& error) {
    return {is_not_offered(error) ? "skipped" : "invalid", error.what()};
  }
  if (pss && !is_our_pss(group, *scheme.digest)) {
    return {"skipped", "PSS with another salt or MGF1 digest is not offered"};
  }
  Bytes input = bytes_of(test, "msg");
  if (scheme.digest != nullptr) input = ossl::digest(*scheme.digest, input);
  Bytes signature = bytes_of(test, "sig");
  try {
    if (group.value("type", "") == "EcdsaP1363Verify") {
      signature = ossl::ecdsa_der_from_raw(key.get(), signature);
    }
  } catch (const Error& error) {
    return {"invalid", error.what()};
  }
  return ossl::verify(key.get(), scheme, input, signature)
             ? Answer{"valid", ""}
             : Answer{"invalid", "the signature does not verify"};
}

}  // namespace hsmith::conformance
