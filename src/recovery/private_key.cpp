#include "src/recovery/private_key.h"

#include <array>
#include <fmt/format.h>
#include <openssl/asn1t.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/public_key.h"

namespace hsmith::recovery {
namespace {

using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, ossl::Deleter<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedKey = std::unique_ptr<X509_SIG, ossl::Deleter<X509_SIG_free>>;
using PbeParameters = std::unique_ptr<PBEPARAM, ossl::Deleter<PBEPARAM_free>>;
using Pbe2Parameters = std::unique_ptr<PBE2PARAM, ossl::Deleter<PBE2PARAM_free>>;
using Pbkdf2Parameters = std::unique_ptr<PBKDF2PARAM, ossl::Deleter<PBKDF2PARAM_free>>;

struct Algorithm {
  int nid;
  std::string name;
  const ASN1_TYPE* parameters;
};

Algorithm parts_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  int type = V_ASN1_UNDEF;
  const void* value = nullptr;
  X509_ALGOR_get0(&object, &type, &value, algorithm);
  const int nid = OBJ_obj2nid(object);
  return {nid, nid == NID_undef ? x509::oid_text(object) : OBJ_nid2sn(nid), algorithm->parameter};
}

template <typename Owned, auto Item>
Owned unpack(const ASN1_TYPE* parameters) {
  if (parameters == nullptr) return {};
  return Owned(
      static_cast<typename Owned::element_type*>(ASN1_TYPE_unpack_sequence(Item(), parameters)));
}

// What a password-based encryption does: its name for people, and its work.
struct Encryption {
  std::string name;
  std::optional<long> iterations;
};

Encryption pbes2(const PBE2PARAM& parameters) {
  const Algorithm derivation = parts_of(parameters.keyfunc);
  const Algorithm cipher = parts_of(parameters.encryption);
  if (derivation.nid != NID_id_pbkdf2)
    return {fmt::format("PBES2 {} {}", cipher.name, derivation.name), std::nullopt};
  const auto pbkdf2 = unpack<Pbkdf2Parameters, PBKDF2PARAM_it>(derivation.parameters);
  if (!pbkdf2) throw Error(Kind::malformed, "the parameters of PBKDF2 cannot be read");
  const std::string prf =
      pbkdf2->prf != nullptr ? parts_of(pbkdf2->prf).name : std::string("hmacWithSHA1");
  return {fmt::format("PBES2 {} {}", cipher.name, prf), ASN1_INTEGER_get(pbkdf2->iter)};
}

Encryption read_encryption(const X509_ALGOR* algorithm) {
  const Algorithm outer = parts_of(algorithm);
  if (outer.nid == NID_pbes2) {
    const auto parameters = unpack<Pbe2Parameters, PBE2PARAM_it>(outer.parameters);
    if (!parameters) throw Error(Kind::malformed, "the parameters of PBES2 cannot be read");
    return pbes2(*parameters);
  }
  const auto parameters = unpack<PbeParameters, PBEPARAM_it>(outer.parameters);
  if (!parameters) throw Error(Kind::malformed, "the parameters of its encryption cannot be read");
  return {outer.name, ASN1_INTEGER_get(parameters->iter)};
}

Pkcs8 decrypt(const X509_SIG* encrypted, const std::string& input, const AskPassword& password) {
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(encrypted, &algorithm, nullptr);
  check_iterations(algorithm, input);
  const Secret text = password();
  ossl::clear_errors();
  Pkcs8 key(PKCS8_decrypt_ex(encrypted, reinterpret_cast<const char*>(text.reveal().data()),
                             static_cast<int>(text.size()), context_with_legacy(), nullptr));
  ossl::clear_errors();
  if (key) return key;
  throw Error(Kind::pin_incorrect,
              fmt::format("decrypt the private key of {}: the password does not fit, or OpenSSL "
                          "does not have {}",
                          input, describe_encryption(algorithm)));
}

ossl::PKey key_of(const PKCS8_PRIV_KEY_INFO* info, const std::string& input) {
  ossl::clear_errors();
  return ossl::PKey(ossl::check_ptr(
      EVP_PKCS82PKEY(info), fmt::format("read the private key of {}", input), Kind::malformed));
}

struct Asked {
  const AskPassword* ask;
  std::optional<Secret> secret;
};

int give_password(char* buffer, int size, int, void* user) {
  auto* asked = static_cast<Asked*>(user);
  try {
    if (!asked->secret) asked->secret = (*asked->ask)();
  } catch (...) {
    ossl::keep_current_exception();
    return -1;
  }
  const ByteView text = asked->secret->reveal();
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::copy(text.begin(), text.end(), buffer);
  return static_cast<int>(text.size());
}

// PEM as a whole: traditional encryption stands in the headers of the block.
ossl::PKey read_pem_key(ByteView content, const std::string& input, const AskPassword& password) {
  const ossl::Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  Asked asked{&password, std::nullopt};
  ossl::clear_errors();
  ossl::PKey key(PEM_read_bio_PrivateKey_ex(bio.get(), nullptr, give_password, &asked,
                                            context_with_legacy(), nullptr));
  if (!key && asked.secret) {
    ossl::clear_errors();
    throw Error(Kind::pin_incorrect,
                fmt::format("decrypt the private key of {}: the password does not fit", input));
  }
  ossl::check(key != nullptr, fmt::format("read the private key of {}", input), Kind::malformed);
  // From the context with the legacy algorithms into the one that all else works in.
  const Secret der = private_key_der(key.get());
  return private_key_from_der(der.reveal(), input);
}

ossl::PKey read_pem_pkcs8(ByteView content, const std::string& input, const AskPassword& password) {
  const ossl::Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  ossl::clear_errors();
  const EncryptedKey encrypted(PEM_read_bio_PKCS8(bio.get(), nullptr, nullptr, nullptr));
  ossl::check(encrypted != nullptr, fmt::format("read the private key of {}", input),
              Kind::malformed);
  return key_of(decrypt(encrypted.get(), input, password).get(), input);
}

bool is_key(const x509::PemBlock& block) {
  return block.label.find("PRIVATE KEY") != std::string::npos;
}

}  // namespace

void check_iterations(const X509_ALGOR* encryption, const std::string& input) {
  ossl::clear_errors();
  Encryption read;
  try {
    read = read_encryption(encryption);
  } catch (const Error& error) {
    throw error.during(fmt::format("decrypt {}", input));
  }
  if (!read.iterations) return;  // scrypt: OpenSSL bounds its memory
  if (*read.iterations >= 1 && *read.iterations <= kMostIterations) return;
  throw Error(Kind::refused, fmt::format("decrypt {}: it asks for {} iterations; at most {} are "
                                         "done",
                                         input, *read.iterations, kMostIterations));
}

std::string describe_encryption(const X509_ALGOR* encryption) {
  try {
    const Encryption read = read_encryption(encryption);
    if (!read.iterations) return read.name;
    return fmt::format("{}, {} iterations", read.name, *read.iterations);
  } catch (const Error&) {
    return parts_of(encryption).name;
  }
}

OSSL_LIB_CTX* context_with_legacy() {
  struct Contexts {
    ossl::LibraryContext context{OSSL_LIB_CTX_new()};
    OSSL_PROVIDER* standard = OSSL_PROVIDER_load(context.get(), "default");
    OSSL_PROVIDER* legacy = OSSL_PROVIDER_load(context.get(), "legacy");
  };
  static const Contexts contexts;
  ossl::clear_errors();  // of a legacy provider that is not installed
  ossl::check(contexts.standard != nullptr, "load OpenSSL's default provider");
  return contexts.context.get();
}

ossl::PKey private_key_from_der(ByteView der, const std::string& input) {
  const unsigned char* start = der.data();
  ossl::clear_errors();
  ossl::PKey key(d2i_AutoPrivateKey(nullptr, &start, static_cast<long>(der.size())));
  ossl::check(key != nullptr, fmt::format("read the private key of {}", input), Kind::malformed);
  if (start == der.data() + der.size()) return key;
  throw Error(Kind::malformed, fmt::format("read the private key of {}: bytes follow it", input));
}

Secret private_key_der(const EVP_PKEY* key) {
  const Pkcs8 info(ossl::check_ptr(EVP_PKEY2PKCS8(key), "encode a private key"));
  return Secret::take(ossl::der_of(i2d_PKCS8_PRIV_KEY_INFO, info.get()));
}

ossl::PKey read_private_key(ByteView content, const std::string& input,
                            const AskPassword& password) {
  if (!x509::looks_like_pem(content)) {
    const unsigned char* start = content.data();
    const EncryptedKey encrypted(d2i_X509_SIG(nullptr, &start, static_cast<long>(content.size())));
    ossl::clear_errors();
    const std::string kind = x509::kind_of(content);
    if (kind != "a private key" && kind != "an encrypted private key")
      x509::refuse_kind(content, input, "a private key");
    if (!encrypted) return private_key_from_der(content, input);
    return key_of(decrypt(encrypted.get(), input, password).get(), input);
  }
  std::vector<std::string> labels;
  for (const x509::PemBlock& block : x509::pem_blocks(content, input)) {
    if (is_key(block)) labels.push_back(block.label);
  }
  if (labels.empty()) x509::refuse_kind(content, input, "a private key");
  if (labels.size() != 1) {
    throw Error(Kind::malformed,
                fmt::format("read {}: it holds {} private keys", input, labels.size()));
  }
  return labels.front() == "ENCRYPTED PRIVATE KEY" ? read_pem_pkcs8(content, input, password)
                                                   : read_pem_key(content, input, password);
}

}  // namespace hsmith::recovery
