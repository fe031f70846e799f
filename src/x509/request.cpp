#include "src/x509/request.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/public_key.h"
#include "src/x509/input.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

using BitString = std::unique_ptr<ASN1_BIT_STRING, ossl::Deleter<ASN1_BIT_STRING_free>>;

bool is_request_label(std::string_view label) {
  return label == "CERTIFICATE REQUEST" || label == "NEW CERTIFICATE REQUEST";
}

[[noreturn]] void refuse(std::string_view input, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read {}: {}", input, cause));
}

ossl::Request request_from_der(ByteView der, std::string_view input) {
  ossl::clear_errors();
  const unsigned char* at = der.data();
  ossl::Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  if (request == nullptr) refuse_kind(der, input, "a certificate request");
  if (at != der.data() + der.size()) {
    refuse(input, fmt::format("{} bytes follow the certificate request",
                              der.size() - static_cast<std::size_t>(at - der.data())));
  }
  if (!equal(ossl::der_of(i2d_X509_REQ, request.get()), der)) {
    refuse(input, "the certificate request is not DER");
  }
  if (X509_REQ_get_version(request.get()) != X509_REQ_VERSION_1) {
    refuse(input, "the certificate request has another version than 1");
  }
  return request;
}

// RFC 2985, 5.4.1: a DirectoryString, PrintableString where that is enough.
void add_challenge(X509_REQ* request, const Secret& challenge) {
  const std::string_view text = as_text(challenge.reveal());
  if (text.empty() || text.size() > 255 || !is_utf8(text)) {
    throw Error(Kind::usage, "the challenge password: it must be UTF-8 text of 1 to 255 bytes");
  }
  const bool simple =
      text.find_first_not_of(
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") ==
      std::string_view::npos;
  ossl::check(
      X509_REQ_add1_attr_by_NID(request, NID_pkcs9_challengePassword,
                                simple ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING,
                                challenge.reveal().data(), static_cast<int>(challenge.size())) == 1,
      "add the challenge password");
}

ossl::Request unsigned_request(const RequestSpec& spec, EVP_PKEY* public_key) {
  ossl::Request request(ossl::check_ptr(X509_REQ_new(), "make a certificate request"));
  ossl::check(X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1, "set the version");
  if (spec.subject != nullptr) {
    ossl::check(X509_REQ_set_subject_name(request.get(), spec.subject.get()) == 1,
                "set the subject");
  }
  ossl::set_public_key(X509_REQ_get_X509_PUBKEY(request.get()), public_key);
  const ossl::Extensions extensions =
      make_extensions(spec.wishes, X509_REQ_get_subject_name(request.get()), public_key);
  ossl::check(X509_REQ_add_extensions(request.get(), extensions.get()) == 1, "add the extensions");
  if (spec.challenge_password) add_challenge(request.get(), *spec.challenge_password);
  return request;
}

// RFC 2986, 4.2.
void sign(X509_REQ* request, ossl::RemoteKey& key, const ossl::Scheme& scheme) {
  const char* doing = "sign the request";
  if (scheme.digest != nullptr && scheme.digest->md == EVP_sha1) {
    throw Error(Kind::refused, "sign the request: SHA-1 is too weak for a new signature")
        .hint("use sha256");
  }
  const Bytes algorithm = ossl::algorithm_identifier(key.public_key(), scheme);
  const unsigned char* at = algorithm.data();
  const ossl::AlgorithmIdentifier named(
      ossl::check_ptr(d2i_X509_ALGOR(nullptr, &at, static_cast<long>(algorithm.size())), doing));
  ossl::check(X509_REQ_set1_signature_algo(request, named.get()) == 1, doing);
  const Bytes info = ossl::der_of(i2d_re_X509_REQ_tbs, request);
  const Bytes signature =
      key.sign(scheme, scheme.digest == nullptr ? info : ossl::digest(*scheme.digest, info));
  BitString bits(ossl::check_ptr(ASN1_BIT_STRING_new(), doing));
  ossl::check(
      ASN1_STRING_set(bits.get(), signature.data(), static_cast<int>(signature.size())) == 1,
      doing);
  bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;  // whole bytes: none of the last one's bits is unused
  X509_REQ_set0_signature(request, bits.release());
}

std::set<std::string> set_of(const std::vector<std::string>& list) {
  return {list.begin(), list.end()};
}

ossl::Extensions extensions_of(X509_REQ* request) {
  ossl::clear_errors();
  return ossl::Extensions(ossl::check_ptr(X509_REQ_get_extensions(request),
                                          "read the extensions of the request", Kind::malformed));
}

bool has_attribute(X509_REQ* request, int nid) {
  return X509_REQ_get_attr_by_NID(request, nid, -1) >= 0;
}

// The promise that no request leaves before it was read back and checked.
void check_made(const ossl::Request& request, const RequestSpec& spec, EVP_PKEY* public_key) {
  const auto refuse_made = [](std::string_view cause) {
    throw Error(Kind::mismatch, fmt::format("check the request that was made: {}", cause));
  };
  if (!ossl::same_public_key(public_key_of(request.get()), public_key)) {
    refuse_made("it holds another public key");
  }
  if (!request_signature_ok(request.get())) {
    refuse_made("its signature does not verify with the public key");
  }
  const ossl::Name empty(spec.subject == nullptr ? X509_NAME_new() : nullptr);
  const X509_NAME* asked = spec.subject == nullptr ? empty.get() : spec.subject.get();
  if (!same_encoding(X509_REQ_get_subject_name(request.get()), asked)) {
    refuse_made("its subject is not the one that was asked for");
  }
  const ExtensionFacts facts = read_extensions(extensions_of(request.get()).get());
  std::vector<std::string> extra;
  bool own_constraints = false;  // which the user may have brought along
  for (const ExtraExtension& extension : spec.wishes.extra) {
    if (extension.oid == "2.5.29.19") {
      own_constraints = true;
    } else {
      extra.push_back(extension.oid);
    }
  }
  if (facts.names != spec.wishes.names) refuse_made("its names are not those that were asked for");
  if (set_of(facts.key_usage) != set_of(spec.wishes.key_usage) ||
      set_of(facts.extended_key_usage) != set_of(spec.wishes.extended_key_usage) ||
      set_of(facts.other) != set_of(extra) ||
      (!own_constraints && facts.is_ca.value_or(false) != spec.wishes.authority)) {
    refuse_made("its extensions are not those that were asked for");
  }
  if (has_attribute(request.get(), NID_pkcs9_challengePassword) !=
      spec.challenge_password.has_value()) {
    refuse_made("its challenge password is not the one that was asked for");
  }
}

// Also refuses what OpenSSL would read only half of: an attribute twice, or with several values.
std::vector<std::string> attributes_of(X509_REQ* request) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  int extension_requests = 0;
  for (int i = 0; i < X509_REQ_get_attr_count(request); ++i) {
    X509_ATTRIBUTE* attribute = X509_REQ_get_attr(request, i);
    const ASN1_OBJECT* object = X509_ATTRIBUTE_get0_object(attribute);
    const std::string oid = oid_text(object);
    const int nid = OBJ_obj2nid(object);
    if (nid == NID_ext_req || nid == NID_ms_ext_req) ++extension_requests;
    if (!seen.insert(oid).second || extension_requests > 1) {
      throw Error(Kind::malformed, fmt::format("read the attribute {}: it occurs twice", oid));
    }
    if (X509_ATTRIBUTE_count(attribute) != 1) {
      throw Error(Kind::malformed, fmt::format("read the attribute {}: it has not one value", oid));
    }
    names.push_back(nid == NID_ext_req ? "extensionRequest"
                    : nid == NID_undef ? oid
                                       : std::string(OBJ_nid2sn(nid)));
  }
  return names;
}

}  // namespace

MadeRequest make_request(const RequestSpec& spec, const std::shared_ptr<ossl::RemoteKey>& key,
                         const ossl::Scheme& scheme) {
  ossl::clear_errors();
  const ossl::Request request = unsigned_request(spec, key->public_key());
  sign(request.get(), *key, scheme);
  MadeRequest made{ossl::der_of(i2d_X509_REQ, request.get()), nullptr};
  made.read = request_from_der(made.der, "the request that was made");
  check_made(made.read, spec, key->public_key());
  return made;
}

ossl::Request parse_request(ByteView content, std::string_view input) {
  if (content.empty()) refuse(input, "it is empty");
  if (!looks_like_pem(content)) return request_from_der(content, input);
  const std::vector<PemBlock> blocks = pem_blocks(content, input);
  const auto is_request = [](const PemBlock& block) { return is_request_label(block.label); };
  const auto found = std::count_if(blocks.begin(), blocks.end(), is_request);
  if (found == 0) refuse_kind(content, input, "a certificate request");
  if (found > 1)
    refuse(input, fmt::format("it holds {} certificate requests, expected one", found));
  return request_from_der(std::find_if(blocks.begin(), blocks.end(), is_request)->der, input);
}

std::string request_pem(ByteView der, PemHeader header) {
  return pem(header == PemHeader::new_certificate_request ? "NEW CERTIFICATE REQUEST"
                                                          : "CERTIFICATE REQUEST",
             der);
}

bool request_signature_ok(X509_REQ* request) {
  const X509_ALGOR* algorithm = nullptr;
  X509_REQ_get0_signature(request, nullptr, &algorithm);
  EVP_PKEY* key = X509_REQ_get0_pubkey(request);
  const bool ok = key != nullptr && parameters_fit(algorithm) && X509_REQ_verify(request, key) == 1;
  ossl::clear_errors();
  return ok;
}

RequestFacts request_facts(X509_REQ* request) {
  RequestFacts facts;
  facts.attributes = attributes_of(request);
  facts.extensions = read_extensions(extensions_of(request).get());
  facts.subject = name_text(X509_REQ_get_subject_name(request));
  const KeyFacts key = key_facts(X509_REQ_get_X509_PUBKEY(request));
  facts.key_type = key.type;
  facts.key_bits = key.bits;
  facts.key_sha256 = key.sha256;
  const X509_ALGOR* algorithm = nullptr;
  X509_REQ_get0_signature(request, nullptr, &algorithm);
  facts.signature_algorithm = algorithm_name(algorithm);
  return facts;
}

EVP_PKEY* public_key_of(X509_REQ* request) {
  return borrow_key(X509_REQ_get_X509_PUBKEY(request), "the request");
}

}  // namespace hsmith::x509
