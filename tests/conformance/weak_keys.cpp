#include "src/x509/weak_keys.h"

#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"
#include "src/x509/public_key.h"
#include "src/x509/request.h"
#include "tests/conformance/answer.h"

namespace hsmith::conformance {
namespace {

namespace fs = std::filesystem;

// A bare modulus, in hex or in decimal, with the usual exponent.
ossl::PKey key_of_modulus(const std::string& digits) {
  BIGNUM* number = nullptr;
  if (digits.rfind("0x", 0) == 0) {
    BN_hex2bn(&number, digits.c_str() + 2);
  } else {
    BN_dec2bn(&number, digits.c_str());
  }
  const ossl::BigNumber modulus(ossl::check_ptr(number, "read the modulus", Kind::malformed));
  const std::unique_ptr<OSSL_PARAM_BLD, ossl::Deleter<OSSL_PARAM_BLD_free>> build(
      OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(build.get(), "n", modulus.get());
  OSSL_PARAM_BLD_push_uint(build.get(), "e", 65537);
  const ossl::Params params(OSSL_PARAM_BLD_to_param(build.get()));
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  ossl::check(EVP_PKEY_fromdata_init(context.get()) == 1 &&
                  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1,
              "make a key", Kind::malformed);
  return ossl::PKey(key);
}

ossl::PKey key_of_private_pem(ByteView content) {
  const auto open = [&] {
    return ossl::Bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  };
  ossl::PKey key(PEM_read_bio_PrivateKey(open().get(), nullptr, nullptr, nullptr));
  if (key != nullptr) return key;
  // A key in order, of an algorithm that OpenSSL does not know?
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, ossl::Deleter<PKCS8_PRIV_KEY_INFO_free>> info(
      PEM_read_bio_PKCS8_PRIV_KEY_INFO(open().get(), nullptr, nullptr, nullptr));
  ossl::check(info != nullptr, "read the private key", Kind::malformed);
  const ASN1_OBJECT* algorithm = nullptr;
  PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, info.get());
  throw Error(Kind::unsupported, fmt::format("read the private key: its algorithm {} is not known",
                                             x509::oid_text(algorithm)));
}

ossl::PKey key_of_public_pem(ByteView content, const std::string& file) {
  const ossl::Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  ossl::PKey readable(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (readable != nullptr) return readable;
  const Bytes der = x509::pem_blocks(content, file).at(0).der;
  const unsigned char* at = der.data();
  const std::unique_ptr<X509_PUBKEY, ossl::Deleter<X509_PUBKEY_free>> key(
      d2i_X509_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  ossl::check(key != nullptr, "read the public key", Kind::malformed);
  return ossl::share(x509::borrow_key(key.get(), file));
}

ossl::PKey key_of_file(const fs::path& file) {
  const Bytes content = read_file(file);
  const std::string_view text = as_text(content);
  if (file.extension() == ".txt") return key_of_modulus(std::string(trim(text)));
  if (text.find("CERTIFICATE REQUEST") != std::string_view::npos) {
    return ossl::share(x509::public_key_of(x509::parse_request(content, file.string()).get()));
  }
  if (text.find("BEGIN CERTIFICATE") != std::string_view::npos || file.extension() == ".p7s") {
    return ossl::share(
        x509::public_key_of(x509::read_certificates(content, file.string()).front().get()));
  }
  if (!x509::looks_like_pem(content)) {
    throw Error(Kind::unsupported, "a key in this form is not read");
  }
  if (text.find("PRIVATE KEY") != std::string_view::npos) {
    x509::pem_blocks(content, file.string());  // says where a block is damaged
    return key_of_private_pem(content);
  }
  return key_of_public_pem(content, file.string());
}

}  // namespace

Answer judge_key(const Json& request) {
  static const std::map<std::string, std::string> kCodes{
      {"invalid exponent", "rsa_exponent_invalid"},
      {"small factors", "rsa_small_factors"},
      {"patterned modulus", "rsa_patterned_modulus"},
      {"roca", "roca"}};
  const Json& test = request.at("test");
  const fs::path folder = request.at("folder").get<std::string>();
  ossl::PKey key;
  try {
    key = key_of_file(folder / test.at("file").get<std::string>());
  } catch (const Error& error) {
    const std::string expect = test.at("expect");
    const bool known = error.kind() != Kind::unsupported;
    // A form or an algorithm that no command of hsmith reads cannot be judged.
    if (!known && expect != "unsupported") return {"skipped", error.what()};
    return {known ? "malformed" : "unsupported", error.what()};
  }
  std::string said;
  for (const x509::Finding& finding : x509::key_weaknesses(key.get())) {
    // The sizes of the collection are those of another time.
    if (finding.severity != x509::Severity::error || finding.code == "rsa_too_small") continue;
    if (test.contains("weakness") && finding.code == kCodes.at(test.at("weakness"))) {
      return {"weak", finding.text};
    }
    said += finding.code + " ";
  }
  return said.empty() ? Answer{"good", ""} : Answer{"weak, but otherwise", said};
}

}  // namespace hsmith::conformance
