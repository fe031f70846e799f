#include "src/cms/verify.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"

namespace hsmith::cms {
namespace {

X509* find(const SignerName& name, std::span<const ossl::Certificate> certificates) {
  const auto found = std::find_if(certificates.begin(), certificates.end(),
                                  [&](const auto& one) { return names(name, one.get()); });
  return found != certificates.end() ? found->get() : nullptr;
}

// ESSCertID or ESSCertIDv2: the first hash of the list is the signer's certificate's.
bool binds(const Element& list, const ossl::DigestType* fixed, X509* certificate) {
  Reader value(list, "the signing certificate");
  Reader ids(value.take(kSequence, "its list"), "the signing certificate");
  Reader first(ids.take(kSequence, "its first entry"), "the signing certificate");
  const ossl::DigestType* digest = fixed != nullptr ? fixed : &ossl::digest_named("sha256");
  if (fixed == nullptr && first.tag() == kSequence) {
    const int nid = read_algorithm(first.next(), "the signing certificate").nid;
    const auto types = ossl::digest_types();
    const auto known = std::find_if(types.begin(), types.end(), [&](const auto& type) {
      return EVP_MD_get_type(type.md()) == nid;
    });
    if (known == types.end()) first.refuse("its digest is one that hsmith does not have");
    digest = &*known;
  }
  const Element hash = first.take(kOctetString, "its hash");
  return equal(hash.content, ossl::digest(*digest, x509::certificate_der(certificate)));
}

bool is_bound(const SignerInfo& signer, X509* certificate) {
  return (!signer.signing_certificate_v2 ||
          binds(*signer.signing_certificate_v2, nullptr, certificate)) &&
         (!signer.signing_certificate ||
          binds(*signer.signing_certificate, &ossl::digest_named("sha1"), certificate));
}

ossl::Scheme scheme_of(const SignerInfo& signer, const EVP_PKEY* key) {
  ossl::Scheme scheme{ossl::Padding::none, signer.digest};
  if (ossl::algorithm_of(key) == ossl::KeyAlgorithm::rsa) {
    scheme.padding = signer.pss ? ossl::Padding::pss : ossl::Padding::pkcs1;
  }
  return scheme;
}

// "" when it verifies.
std::string problem_of(const SignerInfo& signer, CMS_SignerInfo* info, X509* certificate,
                       const ContentDigests& digests, WeakDigest weak_digest) {
  if (std::string_view(signer.digest->name) == "sha1" && weak_digest == WeakDigest::refuse) {
    return "it is made with SHA-1, which is too weak to prove anything";
  }
  if (!is_bound(signer, certificate)) {
    return "it was made with another certificate of this name (signing certificate attribute)";
  }
  ossl::clear_errors();
  CMS_SignerInfo_set1_signer_cert(info, certificate);
  // With signed attributes the signature is over them, and they hold the content's digest.
  if (signer.has_signed_attributes && CMS_SignerInfo_verify(info) != 1) {
    return "it is not a signature by this certificate's key";
  }
  if (CMS_SignerInfo_verify_content(info, digests.chain()) == 1) return "";
  return signer.has_signed_attributes
             ? "the content is not the one that was signed"
             : "it is not a signature of this content by this certificate's key";
}

Signature verify_one(const SignerInfo& signer, CMS_SignerInfo* info, X509* certificate,
                     const ContentDigests& digests, WeakDigest weak_digest) {
  Signature result;
  result.signer = name_text(signer.name);
  result.signing_time = signer.signing_time;
  if (certificate == nullptr) {
    result.problem = "its certificate is not in the message";
    return result;
  }
  result.certificate = ossl::share(certificate);
  result.signer = x509::name_text(X509_get_subject_name(certificate));
  try {
    EVP_PKEY* key = x509::public_key_of(certificate);
    result.scheme = ossl::describe(key, scheme_of(signer, key));
    result.problem = problem_of(signer, info, certificate, digests, weak_digest);
  } catch (const Error& error) {
    // A key or an attribute that cannot be read stands against this signature only.
    if (error.kind() != Kind::malformed && error.kind() != Kind::unsupported) throw;
    result.problem = error.what();
  }
  result.verifies = result.problem.empty();
  ossl::clear_errors();
  return result;
}

void feed(const Element& octets, ContentDigests& digests) {
  if (!octets.is_constructed()) return digests.update(octets.content);
  for (Reader reader(octets, "the content"); reader.more();) feed(reader.next(), digests);
}

}  // namespace

ContentDigests::ContentDigests(std::span<const ossl::DigestType* const> types)
    : chain_(ossl::check_ptr(BIO_new(BIO_s_null()), "hash a content")) {
  for (const ossl::DigestType* type : types) {
    ossl::Bio filter(ossl::check_ptr(BIO_new(BIO_f_md()), "hash a content"));
    ossl::check(BIO_set_md(filter.get(), type->md()) == 1, "hash a content");
    chain_.reset(BIO_push(filter.release(), chain_.release()));
  }
}

void ContentDigests::update(ByteView block) {
  constexpr std::size_t kMost = std::numeric_limits<int>::max();
  while (!block.empty()) {
    const ByteView part = block.first(std::min(block.size(), kMost));
    const int written = BIO_write(chain_.get(), part.data(), static_cast<int>(part.size()));
    ossl::check(written == static_cast<int>(part.size()), "hash a content");
    block = block.subspan(part.size());
  }
}

std::vector<const ossl::DigestType*> digests_of(const SignedData& data) {
  std::vector<const ossl::DigestType*> digests;
  for (const SignerInfo& signer : data.signers) {
    if (std::find(digests.begin(), digests.end(), signer.digest) == digests.end())
      digests.push_back(signer.digest);
  }
  return digests;
}

std::vector<ossl::Certificate> certificates_of(const SignedData& data) {
  std::vector<ossl::Certificate> certificates;
  for (const Element& one : data.certificates) {
    try {
      certificates.push_back(x509::certificate_from_der(one.whole, "a certificate of the message"));
    } catch (const Error&) {
      // If a signer needs it, that signer's certificate is missing.
    }
  }
  return certificates;
}

std::vector<Signature> verify_signatures(ByteView ber, const SignedData& data,
                                         const ContentDigests& digests,
                                         std::span<const ossl::Certificate> own,
                                         std::span<const ossl::Certificate> others,
                                         WeakDigest weak_digest, std::string_view input) {
  const Cms cms = decode(ber, input);
  STACK_OF(CMS_SignerInfo)* infos = CMS_get0_SignerInfos(cms.get());
  if (infos == nullptr || sk_CMS_SignerInfo_num(infos) != static_cast<int>(data.signers.size())) {
    throw Error(Kind::malformed, fmt::format("read {}: its signers cannot be told", quoted(input)));
  }
  std::vector<Signature> signatures;
  for (std::size_t i = 0; i < data.signers.size(); ++i) {
    const SignerInfo& signer = data.signers[i];
    X509* certificate = find(signer.name, own);
    if (certificate == nullptr) certificate = find(signer.name, others);
    signatures.push_back(verify_one(signer, sk_CMS_SignerInfo_value(infos, static_cast<int>(i)),
                                    certificate, digests, weak_digest));
  }
  return signatures;
}

VerifiedMessage verify_message(ByteView ber, const Content* detached,
                               std::span<const ossl::Certificate> others, WeakDigest weak_digest,
                               std::string_view input) {
  const ContentInfo info = read_content_info(ber, input);
  if (info.type != ContentType::signed_data) {
    throw Error(Kind::malformed, fmt::format("read {}: it is no signed message but {}",
                                             quoted(input), info.type_name));
  }
  const SignedData data = read_signed_data(info.content, input);
  if (!data.content && detached == nullptr) {
    throw Error(Kind::usage,
                fmt::format("verify {}: the message does not hold what was signed", quoted(input)))
        .hint("name the signed file after it");
  }
  if (data.content && octets_size(*data.content) > kMostContent) {
    throw Error(
        Kind::unsupported,
        fmt::format("verify {}: a content that is larger than 512 MiB is not held in memory",
                    quoted(input)));
  }
  ContentDigests digests(digests_of(data));
  VerifiedMessage message;
  if (data.content) {
    feed(*data.content, digests);
    message.content = octets_of(*data.content);
  } else {
    (*detached)([&](ByteView block) { digests.update(block); });
  }
  message.certificates = certificates_of(data);
  message.signatures =
      verify_signatures(ber, data, digests, message.certificates, others, weak_digest, input);
  return message;
}

}  // namespace hsmith::cms
