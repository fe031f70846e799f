#include "tests/conformance/token_cases.h"

#include <array>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "pkcs11/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "tokens/keys.h"
#include "tokens/token_key.h"

namespace hsmith::conformance {
namespace {

using pkcs11::Mechanism;
using pkcs11::Template;

constexpr std::string_view kId = "id:636f6e666f726d616e6365";

Bytes number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "read a number of the key",
              Kind::malformed);
  const ossl::BigNumber number(value);
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), bytes.data());
  return bytes;
}

Template key_object(CK_OBJECT_CLASS kind, CK_KEY_TYPE type) {
  Template object;
  object.set_number(CKA_CLASS, kind).set_number(CKA_KEY_TYPE, type).set_bool(CKA_TOKEN, false);
  object.set(CKA_ID, *parse_hex(kId.substr(3)));
  return object;
}

Template private_object(CK_KEY_TYPE type) {
  Template object = key_object(CKO_PRIVATE_KEY, type);
  object.set_bool(CKA_PRIVATE, true).set_bool(CKA_SENSITIVE, true);
  object.set_bool(CKA_EXTRACTABLE, false);
  return object;
}

Template rsa_object(const EVP_PKEY* key) {
  static constexpr std::array<std::pair<CK_ATTRIBUTE_TYPE, const char*>, 8> kNumbers{{
      {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
      {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
      {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
      {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
      {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
      {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
      {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
      {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
  }};
  Template object = private_object(CKK_RSA);
  object.set_bool(CKA_SIGN, true).set_bool(CKA_DECRYPT, true);
  for (const auto& [attribute, name] : kNumbers) object.set(attribute, number_of(key, name));
  return object;
}

Bytes octet_string(ByteView content) {
  const ossl::OctetString text(ASN1_OCTET_STRING_new());
  ossl::check(
      ASN1_OCTET_STRING_set(text.get(), content.data(), static_cast<int>(content.size())) == 1,
      "encode a point");
  return ossl::der_of(i2d_ASN1_OCTET_STRING, text.get());
}

ossl::PKey private_key_from(ByteView der) {
  const unsigned char* at = der.data();
  ossl::PKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  ossl::check(key != nullptr, "read the private key", Kind::malformed);
  return key;
}

// A private key of a curve, from its scalar alone.
ossl::PKey ec_pair(const ossl::KeyType& type, ByteView scalar) {
  const std::unique_ptr<EC_GROUP, ossl::Deleter<EC_GROUP_free>> group(
      EC_GROUP_new_by_curve_name(OBJ_txt2nid(type.group)));
  const ossl::BigNumber number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr));
  const std::unique_ptr<EC_POINT, ossl::Deleter<EC_POINT_free>> point(EC_POINT_new(group.get()));
  Bytes octets(1 + 2 * ((static_cast<std::size_t>(type.bits) + 7) / 8));
  ossl::check(
      EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) == 1 &&
          EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, octets.data(),
                             octets.size(), nullptr) == octets.size(),
      "make a key");
  Bytes native(scalar.begin(), scalar.end());
  std::string name = type.group;
  BN_bn2nativepad(number.get(), native.data(), static_cast<int>(native.size()));
  const std::array<OSSL_PARAM, 4> params{
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets.data(), octets.size()),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native.data(), native.size()),
      OSSL_PARAM_construct_end()};
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  ossl::check(EVP_PKEY_fromdata_init(context.get()) == 1 &&
                  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR,
                                    const_cast<OSSL_PARAM*>(params.data())) == 1,
              "make a key");
  return ossl::PKey(key);
}

Bytes pem_content(const Json& test, const char* field) {
  const auto blocks = x509::pem_blocks(as_bytes(test.at(field).get<std::string>()), field);
  if (blocks.size() != 1) throw Error(Kind::malformed, "not one PEM block");
  return blocks.front().der;
}

// The uncompressed point of a peer's key. Throws malformed for one that is not on the curve.
Bytes peer_point(const Json& request, const ossl::KeyType& type) {
  const Json& test = request.at("test");
  ossl::PKey peer;
  if (request.at("group").at("encoding") == "pem") {
    // pem_blocks leaves out private keys only.
    peer = ossl::public_key_from_spki(pem_content(test, "public"));
  } else {
    peer = ossl::ec_public_key(type, bytes_of(test, "public"));
  }
  if (ossl::key_type_name(peer.get()) != type.name) {
    throw Error(Kind::malformed, "the peer's key is on another curve");
  }
  return ossl::public_key_bits(peer.get());
}

ossl::PKey own_pair(const Json& request, const ossl::KeyType& type) {
  const Json& test = request.at("test");
  if (request.at("group").at("encoding") != "pem") return ec_pair(type, bytes_of(test, "private"));
  const std::string text = test.at("private");
  const ossl::Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  ossl::PKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  ossl::check(key != nullptr, "read the private key", Kind::malformed);
  return key;
}

std::string curve_of(const Json& group) {
  const std::string curve = group.at("curve");
  if (curve.rfind("secp", 0) != 0) {
    throw Error(Kind::unsupported, fmt::format("keys on {} are not offered", curve));
  }
  return "ec:p" + curve.substr(4, 3);
}

ossl::RsaEncryption encryption_of(const Json& request) {
  const Json& group = request.at("group");
  if (!group.contains("mgf")) return {.padding = ossl::RsaPadding::pkcs1};
  return {.padding = ossl::RsaPadding::oaep,
          .digest = &ossl::digest_named(group.at("sha").get<std::string>()),
          .mgf1 = &ossl::digest_named(group.at("mgfSha").get<std::string>()),
          .label = bytes_of(request.at("test"), "label")};
}

// What the token does not offer, as opposed to what it found to be wrong.
bool token_lacks_it(const std::string& ckr) {
  return ckr == "CKR_MECHANISM_INVALID" || ckr == "CKR_MECHANISM_PARAM_INVALID" ||
         ckr == "CKR_ARGUMENTS_BAD" || ckr == "CKR_KEY_SIZE_RANGE" ||
         ckr == "CKR_ATTRIBUTE_VALUE_INVALID";
}

}  // namespace

TokenCases::TokenCases() {
  environment_ = take_environment();
  tokens::Reach reach;
  reach.module_path = variable("HSMITH_MODULE").value_or("");
  reach.token = tokens::parse_token_choice(variable("HSMITH_TOKEN").value_or(""));
  reach.state_folder = environment_.state_folder;
  reach.lock_folder = environment_.state_folder / "lock";
  make_private_folder(reach.lock_folder);
  reach.warn = [](const std::string&) {};
  reach.environment = &environment_;
  const auto pin = tokens::pin_options(tokens::PinRole::user, environment_, nullptr);
  token_ = tokens::open_token(reach, pkcs11::Access::read_write, tokens::Login::user, pin);
  pkcs11::check(
      token_.module->functions().C_OpenSession(token_.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                               nullptr, nullptr, &raw_session_),
      "C_OpenSession");
}

void TokenCases::forget() {
  key_.reset();
  for (const CK_OBJECT_HANDLE object : objects_) token_.session->destroy(object);
  objects_.clear();
}

std::shared_ptr<ossl::RemoteKey> TokenCases::import_pair(EVP_PKEY* pair) {
  forget();
  if (EVP_PKEY_is_a(pair, "RSA") == 1) {
    objects_.push_back(token_.session->create(rsa_object(pair)));
  } else {
    const ossl::KeyType& type = ossl::key_type_named(ossl::key_type_name(pair));
    const Bytes curve = *parse_hex(type.curve_oid_der_hex);
    Template private_key = private_object(CKK_EC);
    private_key.set_bool(CKA_DERIVE, true).set(CKA_EC_PARAMS, curve);
    private_key.set(CKA_VALUE, number_of(pair, OSSL_PKEY_PARAM_PRIV_KEY));
    objects_.push_back(token_.session->create(private_key));
    Template public_key = key_object(CKO_PUBLIC_KEY, CKK_EC);
    public_key.set(CKA_EC_PARAMS, curve);
    public_key.set(CKA_EC_POINT, octet_string(ossl::public_key_bits(pair)));
    objects_.push_back(token_.session->create(public_key));
  }
  return tokens::remote_key(token_, tokens::find_one(token_, tokens::parse_selector(kId)));
}

std::shared_ptr<ossl::RemoteKey> TokenCases::rsa_key(const Json& request) {
  if (request.at("group_id") != group_ || key_ == nullptr) {
    const Json& group = request.at("group");
    if (group.value("privateKey", Json::object()).contains("otherPrimeInfos")) {
      throw Error(Kind::unsupported,
                  "a key with three primes has no place in PKCS#11's attributes");
    }
    key_ = import_pair(private_key_from(bytes_of(group, "privateKeyPkcs8")).get());
    group_ = request.at("group_id");
  }
  return key_;
}

Answer TokenCases::sign(const Json& request) {
  try {
    const auto key = rsa_key(request);
    const std::string sha = request.at("group").at("sha");
    const ossl::Scheme scheme = ossl::choose_scheme(key->public_key(), "pkcs1", sha);
    const Bytes message = bytes_of(request.at("test"), "msg");
    const Bytes signature = key->sign(scheme, ossl::digest(*scheme.digest, message));
    const bool same = equal(signature, bytes_of(request.at("test"), "sig"));
    return same ? Answer{"valid", ""} : Answer{"invalid", "another signature"};
  } catch (const Error& error) {
    return {is_not_offered(error) || token_lacks_it(error.ckr()) ? "skipped" : "invalid",
            error.what()};
  }
}

Answer TokenCases::decrypt_rsa(const Json& request) {
  std::shared_ptr<ossl::RemoteKey> key;
  try {
    key = rsa_key(request);
  } catch (const Error& error) {
    return {"skipped", error.what()};
  }
  try {
    const ossl::RsaEncryption how = encryption_of(request);
    const Secret plain = key->decrypt(how, bytes_of(request.at("test"), "ct"));
    const bool same = equal(plain.reveal(), bytes_of(request.at("test"), "msg"));
    return same ? Answer{"valid", ""} : Answer{"invalid", "another plaintext"};
  } catch (const Error& error) {
    return {is_not_offered(error) ? "skipped" : "invalid", error.what()};
  }
}

Answer TokenCases::derive(const Json& request) {
  try {
    const ossl::KeyType& type = ossl::key_type_named(curve_of(request.at("group")));
    const Bytes point = peer_point(request, type);
    const ossl::PKey pair = own_pair(request, type);
    const Secret shared = import_pair(pair.get())->derive(point);
    const bool same = equal(shared.reveal(), bytes_of(request.at("test"), "shared"));
    return same ? Answer{"valid", ""} : Answer{"invalid", "another shared secret"};
  } catch (const Error& error) {
    return {is_not_offered(error) ? "skipped" : "invalid", error.what()};
  }
}

CK_OBJECT_HANDLE TokenCases::import_secret(CK_KEY_TYPE type, ByteView value) {
  Template object;
  object.set_number(CKA_CLASS, CKO_SECRET_KEY).set_number(CKA_KEY_TYPE, type);
  object.set_bool(CKA_TOKEN, false).set_bool(CKA_PRIVATE, true).set(CKA_VALUE, value);
  object.set_bool(CKA_SENSITIVE, false).set_bool(CKA_EXTRACTABLE, true);
  if (type == CKK_AES) {
    for (const auto use : {CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP}) object.set_bool(use, true);
  }
  const CK_OBJECT_HANDLE handle = token_.session->create(object);
  objects_.push_back(handle);
  return handle;
}

Answer TokenCases::decrypt_aes(const Json& request) {
  const Json& test = request.at("test");
  Bytes iv = bytes_of(test, "iv");
  Bytes ciphertext = bytes_of(test, "ct");
  Bytes aad;
  Mechanism mechanism{CKM_AES_CBC_PAD, iv};
  if (test.contains("tag")) {
    aad = bytes_of(test, "aad");
    const Bytes tag = bytes_of(test, "tag");
    ciphertext.insert(ciphertext.end(), tag.begin(), tag.end());
    CK_GCM_PARAMS gcm{};
    gcm.pIv = iv.data();
    gcm.ulIvLen = iv.size();
    gcm.ulIvBits = iv.size() * 8;
    gcm.pAAD = aad.data();
    gcm.ulAADLen = aad.size();
    gcm.ulTagBits = tag.size() * 8;
    mechanism = pkcs11::with_parameters(CKM_AES_GCM, gcm);
  }
  forget();
  try {
    const CK_OBJECT_HANDLE key = import_secret(CKK_AES, bytes_of(test, "key"));
    token_.session->begin_decrypt(mechanism, key);
    const Secret plain = token_.session->decrypt(ciphertext, {});
    const bool same = equal(plain.reveal(), bytes_of(test, "msg"));
    return same ? Answer{"valid", ""} : Answer{"invalid", "another plaintext"};
  } catch (const Error& error) {
    return {token_lacks_it(error.ckr()) ? "skipped" : "invalid", error.what()};
  }
}

Answer TokenCases::unwrap(bool padded, const Bytes& kek, const Bytes& plain, const Bytes& wrapped,
                          const std::string& good, const std::string& bad) {
  const auto& functions = token_.module->functions();
  CK_MECHANISM mechanism{padded ? CKM_AES_KEY_WRAP_PAD : CKM_AES_KEY_WRAP, nullptr, 0};
  Template wanted;
  wanted.set_number(CKA_CLASS, CKO_SECRET_KEY).set_number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
  wanted.set_bool(CKA_TOKEN, false).set_bool(CKA_SENSITIVE, false).set_bool(CKA_EXTRACTABLE, true);
  forget();
  try {
    const CK_OBJECT_HANDLE wrapping = import_secret(CKK_AES, kek);
    const CK_OBJECT_HANDLE object =
        token_.session->unwrap({mechanism.mechanism, {}}, wrapping, wrapped, wanted);
    objects_.push_back(object);
    const std::array<CK_ATTRIBUTE_TYPE, 1> value{CKA_VALUE};
    if (!equal(token_.session->get(object, value).bytes(CKA_VALUE), plain))
      return {bad, "another plaintext"};
    // SoftHSM 2.6.1 fills up with zeros before it pads, and so wraps other lengths otherwise.
    if (padded && plain.size() % 8 != 0) return {good, ""};
    Bytes again(wrapped.size() + 64);
    CK_ULONG size = again.size();
    pkcs11::check(
        functions.C_WrapKey(raw_session_, &mechanism, wrapping, object, again.data(), &size),
        "C_WrapKey");
    again.resize(size);
    return equal(again, wrapped) ? Answer{good, ""} : Answer{bad, "it wraps otherwise"};
  } catch (const Error& error) {
    return {token_lacks_it(error.ckr()) ? "skipped" : bad, error.what()};
  }
}

}  // namespace hsmith::conformance
