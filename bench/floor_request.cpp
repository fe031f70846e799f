// The floor for one certificate request: the calls of floor_sign, the public half read from the
// private key by one more, and the request made by OpenSSL around the token's signature. It is
// written twice, as hsmith does: for the user, and to know it again when the certificate comes.
//   floor_request MODULE PIN rsa|ec LABEL OUTPUT
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "bench/durable.h"

namespace {

struct Bytes {
  unsigned char data[1024];
  CK_ULONG size = sizeof data;
};

BIGNUM* number(const Bytes& bytes) {
  return BN_bin2bn(bytes.data, static_cast<int>(bytes.size), nullptr);
}

EVP_PKEY* public_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE private_key, bool rsa) {
  Bytes modulus;
  Bytes exponent;
  Bytes info;
  CK_ATTRIBUTE asked[] = {{CKA_MODULUS, modulus.data, modulus.size},
                          {CKA_PUBLIC_EXPONENT, exponent.data, exponent.size},
                          {CKA_PUBLIC_KEY_INFO, info.data, info.size}};
  bench::must(bench::functions->C_GetAttributeValue(session, private_key, rsa ? asked : asked + 2,
                                                    rsa ? 2 : 1),
              "C_GetAttributeValue");
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  if (rsa) {
    modulus.size = asked[0].ulValueLen;
    exponent.size = asked[1].ulValueLen;
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, number(modulus));
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, number(exponent));
  } else {  // the point ends a SubjectPublicKeyInfo
    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                     info.data + asked[2].ulValueLen - 65, 65);
  }
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, rsa ? "RSA" : "EC", nullptr);
  EVP_PKEY* key = nullptr;
  EVP_PKEY_fromdata_init(context);
  EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, OSSL_PARAM_BLD_to_param(builder));
  return key;
}

std::string der_signature(const unsigned char* raw) {
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, nullptr), BN_bin2bn(raw + 32, 32, nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  return {reinterpret_cast<char*>(der), static_cast<std::size_t>(size)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const bool rsa = std::strcmp(argv[3], "rsa") == 0;
  const CK_SESSION_HANDLE session = bench::open_session(bench::start(argv[1]));
  const std::string output = argv[5];
  bench::log_entry(output + ".log", "login\n", bench::Flush::yes);
  bench::log_in(session, argv[2]);
  const CK_OBJECT_HANDLE key = bench::find_key(session, CKO_PRIVATE_KEY, argv[4]);
  X509_REQ* request = X509_REQ_new();
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("www.example.com"), -1, -1, 0);
  X509_REQ_set_pubkey(request, public_key(session, key, rsa));
  X509_ALGOR* algorithm = X509_ALGOR_new();
  X509_ALGOR_set0(algorithm, OBJ_nid2obj(rsa ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256),
                  rsa ? V_ASN1_NULL : V_ASN1_UNDEF, nullptr);
  X509_REQ_set1_signature_algo(request, algorithm);
  unsigned char* signed_part = nullptr;
  const int size = i2d_re_X509_REQ_tbs(request, &signed_part);
  bench::Input input;
  EVP_Digest(signed_part, static_cast<std::size_t>(size), input.digest, nullptr, EVP_sha256(),
             nullptr);
  unsigned char raw[1024];
  const CK_ULONG raw_size = bench::sign(session, key, rsa, input, raw);
  const std::string signature =
      rsa ? std::string(reinterpret_cast<char*>(raw), raw_size) : der_signature(raw);
  ASN1_BIT_STRING* bits = ASN1_BIT_STRING_new();
  ASN1_STRING_set(bits, signature.data(), static_cast<int>(signature.size()));
  bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
  X509_REQ_set0_signature(request, bits);
  BIO* pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(pem, request);
  char* text = nullptr;
  const auto length = static_cast<std::size_t>(BIO_get_mem_data(pem, &text));
  bench::write_file(output + ".kept", text, length);
  bench::write_file(output, text, length);
  _exit(0);
}
