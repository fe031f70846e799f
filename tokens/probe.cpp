#include "tokens/probe.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "pkcs11/names.h"
#include "src/ossl/check.h"
#include "src/recovery/private_key.h"
#include "tokens/attacks.h"
#include "tokens/hash_mechanism.h"
#include "tokens/proof.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"
#include "tokens/wrapping_keys.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Mechanism;
using pkcs11::Template;

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  ossl::check(RAND_bytes(bytes.data(), static_cast<int>(size)) == 1, "make random bytes");
  return bytes;
}

Template for_session(Template attributes) {
  return attributes.leave_out(CKA_TOKEN).set_bool(CKA_TOKEN, false);
}

bool signs(const SessionPair& pair, const char* scheme) {
  const ossl::Scheme how = ossl::choose_scheme(pair.remote->public_key(), scheme, "");
  const Bytes input = random_bytes(how.digest != nullptr ? how.digest->size : 32);
  return ossl::verify(pair.remote->public_key(), how, input, pair.remote->sign(how, input));
}

Bytes encrypted(EVP_PKEY* key, const ossl::RsaEncryption& how, ByteView plain) {
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes out(size);
  const bool oaep = how.padding == ossl::RsaPadding::oaep;
  ossl::check(context && EVP_PKEY_encrypt_init(context.get()) == 1 &&
                  EVP_PKEY_CTX_set_rsa_padding(
                      context.get(), oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) == 1,
              "encrypt for a probe");
  if (oaep) {
    ossl::check(EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), how.digest->md()) == 1 &&
                    EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), how.digest->md()) == 1,
                "encrypt for a probe");
  }
  ossl::check(EVP_PKEY_encrypt(context.get(), out.data(), &size, plain.data(), plain.size()) == 1,
              "encrypt for a probe");
  out.resize(size);
  return out;
}

Mechanism decryption_mechanism(const ossl::RsaEncryption& how) {
  if (how.padding != ossl::RsaPadding::oaep) return {CKM_RSA_PKCS, {}};
  const HashMechanism& hash = hash_mechanism(*how.digest);
  return pkcs11::with_parameters(
      CKM_RSA_PKCS_OAEP,
      CK_RSA_PKCS_OAEP_PARAMS{hash.hash, hash.mgf, CKZ_DATA_SPECIFIED, nullptr, 0});
}

// What the token does by itself; where it does not, whether hsmith gets there with bare RSA.
ProbeRow decryption_row(const OpenToken& token, const SessionPair& pair, const std::string& what,
                        const ossl::RsaEncryption& how) {
  const Bytes plain = random_bytes(32);
  const Bytes ciphertext = encrypted(pair.remote->public_key(), how, plain);
  ProbeRow row = probe_row(what, "", [&] {
    token.session->begin_decrypt(decryption_mechanism(how), pair.key.handle);
    return equal(token.session->decrypt(ciphertext, {}).reveal(), plain);
  });
  if (row.state == ProbeState::works) return row;
  const ProbeRow instead = probe_row(
      what, "", [&] { return equal(pair.remote->decrypt(how, ciphertext).reveal(), plain); });
  row.fallback = instead.state == ProbeState::works ? "bare RSA; hsmith undoes the padding"
                                                    : "such messages cannot be opened";
  return row;
}

bool agrees(const SessionPair& pair) {
  const ossl::PKeyContext generator(
      EVP_PKEY_CTX_new_from_pkey(nullptr, pair.remote->public_key(), nullptr));
  EVP_PKEY* made = nullptr;
  ossl::check(generator && EVP_PKEY_keygen_init(generator.get()) == 1 &&
                  EVP_PKEY_keygen(generator.get(), &made) == 1,
              "make an ephemeral key");
  const ossl::PKey ephemeral(made);
  const ossl::PKeyContext agreement(EVP_PKEY_CTX_new_from_pkey(nullptr, ephemeral.get(), nullptr));
  Bytes ours(66);
  std::size_t size = ours.size();
  ossl::check(agreement && EVP_PKEY_derive_init(agreement.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(agreement.get(), pair.remote->public_key()) == 1 &&
                  EVP_PKEY_derive(agreement.get(), ours.data(), &size) == 1,
              "agree on a secret");
  const Secret expected =
      Secret::take(Bytes(ours.begin(), ours.begin() + static_cast<ptrdiff_t>(size)));
  return equal(pair.remote->derive(ossl::public_key_bits(ephemeral.get())).reveal(),
               expected.reveal());
}

// The generation of a pair as a row; the pair, where there is one.
std::optional<SessionPair> generated(const OpenToken& token, const char* type, std::set<Use> uses,
                                     SessionObjects& objects, std::vector<ProbeRow>& rows) {
  std::optional<SessionPair> pair;
  rows.push_back(probe_row(fmt::format("generate {}", type), "take another type of key", [&] {
    pair = make_session_pair(token, type, std::move(uses), objects);
    return true;
  }));
  return pair;
}

void probe_rsa(const OpenToken& token, SessionObjects& objects, std::vector<ProbeRow>& rows) {
  const auto pair = generated(token, "rsa:2048", {Use::sign, Use::decrypt}, objects, rows);
  if (!pair) return;
  rows.push_back(probe_row("sign rsa pkcs1 sha256", "no RSA signatures",
                           [&] { return signs(*pair, "pkcs1"); }));
  rows.push_back(probe_row("sign rsa pss sha256", "ask for --scheme pkcs1",
                           [&] { return signs(*pair, "pss"); }));
  const auto& sha1 = ossl::digest_named("sha1");
  const auto& sha256 = ossl::digest_named("sha256");
  rows.push_back(decryption_row(token, *pair, "decrypt rsa pkcs1",
                                {ossl::RsaPadding::pkcs1, nullptr, nullptr, {}}));
  rows.push_back(decryption_row(token, *pair, "decrypt rsa oaep sha1",
                                {ossl::RsaPadding::oaep, &sha1, &sha1, {}}));
  rows.push_back(decryption_row(token, *pair, "decrypt rsa oaep sha256",
                                {ossl::RsaPadding::oaep, &sha256, &sha256, {}}));
  rows.push_back(
      probe_row("keep rsa keys inside", "keys of this token can leave it: key prove", [&] {
        Proof proof;
        proof.attacks = attack_key(token, pair->key, pair->remote->public_key(), objects);
        return way_out(proof).empty();
      }));
}

void probe_curves(const OpenToken& token, SessionObjects& objects, std::vector<ProbeRow>& rows) {
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521"}) {
    const auto pair = generated(token, type, {Use::sign, Use::derive}, objects, rows);
    if (!pair) continue;
    rows.push_back(probe_row(fmt::format("sign {} ecdsa", type), "take an RSA key",
                             [&] { return signs(*pair, ""); }));
    rows.push_back(probe_row(fmt::format("derive {} ecdh", type),
                             "messages to this key cannot be opened: take an RSA key",
                             [&] { return agrees(*pair); }));
  }
  const auto pair = generated(token, "ed25519", {Use::sign}, objects, rows);
  if (pair)
    rows.push_back(probe_row("sign ed25519", "take ec:p256", [&] { return signs(*pair, ""); }));
}

// By the token's mechanism and back; `detail` says how long the wrapped key is.
bool wraps_and_unwraps(const OpenToken& token, const Mechanism& mechanism, const WrappingKey& by,
                       SessionObjects& objects, std::string& detail) {
  Template loose;
  loose.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  const Bytes value = random_bytes(32);
  Template secret = loose;
  const CK_OBJECT_HANDLE first = objects.keep(token.session->create(secret.set(CKA_VALUE, value)));
  const Bytes wrapped = token.session->wrap(mechanism, by.handle, first);
  detail = fmt::format("32 bytes become {}", wrapped.size());
  const CK_OBJECT_HANDLE back =
      objects.keep(token.session->unwrap(mechanism, by.handle, wrapped, loose));
  return equal(token.session->read_secret(back, CKA_VALUE).reveal(), value);
}

// RFC 5649, 4.1.
Bytes wrapped_here(const Secret& key, ByteView plain) {
  const std::unique_ptr<EVP_CIPHER_CTX, ossl::Deleter<EVP_CIPHER_CTX_free>> context(
      EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(plain.size() + 32);
  int size = 0;
  ossl::check(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_wrap_pad(), key.reveal().data(),
                                  nullptr, nullptr) == 1 &&
                  EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(),
                                    static_cast<int>(plain.size())) == 1,
              "wrap a key");
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// A private key of ours, wrapped here, unwrapped there as one that must not leave: it signs, and
// withstands what it must.
bool restores_protected(const OpenToken& token, const Mechanism& mechanism, const WrappingKey& by,
                        SessionObjects& objects) {
  const ossl::PKey ours(
      ossl::check_ptr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), "make a key"));
  Template protection;
  protection.set_number(CKA_CLASS, CKO_PRIVATE_KEY)
      .set_number(CKA_KEY_TYPE, CKK_EC)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_PRIVATE, true)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_EXTRACTABLE, false)
      .set_bool(CKA_SIGN, true);
  const CK_OBJECT_HANDLE back = objects.keep(token.session->unwrap(
      mechanism, by.handle, wrapped_here(by.value, recovery::private_key_der(ours.get()).reveal()),
      protection));
  const Key key = read_key(token, back, CKO_PRIVATE_KEY);
  Proof proof;
  proof.attributes = claims_of(token, back);
  proof.attacks = attack_key(token, key, ours.get(), objects);
  return way_out(proof).empty() && holds_private_half(token, key, ours.get());
}

}  // namespace

const char* probe_state_name(ProbeState state) {
  switch (state) {
    case ProbeState::works:
      return "works";
    case ProbeState::absent:
      return "absent";
    case ProbeState::failed:
      return "failed";
    default:
      return "wrong";
  }
}

ProbeRow probe_row(const std::string& what, const std::string& fallback,
                   const std::function<bool()>& work) {
  try {
    if (work()) return {what, ProbeState::works, "", "", ""};
    return {what, ProbeState::wrong, "", fallback, ""};
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
    const bool lacks = error.kind() == Kind::unsupported;
    return {what, lacks ? ProbeState::absent : ProbeState::failed, error.ckr(), fallback, ""};
  }
}

SessionPair make_session_pair(const OpenToken& token, const char* type, std::set<Use> uses,
                              SessionObjects& objects) {
  KeySpec spec;
  spec.type = &ossl::key_type_named(type);
  spec.uses = std::move(uses);
  spec.label = "hsmith probe";
  spec.id = random_bytes(16);
  const pkcs11::KeyPair made = token.session->generate_pair(
      generation_mechanism(*spec.type), for_session(public_key_template(spec)),
      for_session(private_key_template(spec)));
  objects.keep(made.public_key);
  objects.keep(made.private_key);
  SessionPair pair{read_key(token, made.private_key, CKO_PRIVATE_KEY), nullptr};
  pair.remote = remote_key(token, pair.key);
  return pair;
}

ProbeRow probe_session_keys(const OpenToken& token, SessionObjects& objects) {
  return probe_row("session keys", "nothing more can be tried without leaving keys on the token",
                   [&] {
                     make_ordinary_key(token, objects);
                     return true;
                   });
}

std::vector<ProbeRow> probe_matrix(const OpenToken& token, SessionObjects& objects) {
  std::vector<ProbeRow> rows;
  probe_rsa(token, objects, rows);
  probe_curves(token, objects, rows);
  for (ProbeRow& row : probe_backup(token, objects)) rows.push_back(std::move(row));
  return rows;
}

std::vector<ProbeRow> probe_backup(const OpenToken& token, SessionObjects& objects) {
  std::vector<ProbeRow> rows;
  const WrappingKey by = make_wrapping_key(token, CKK_AES, objects);
  for (const CK_MECHANISM_TYPE type :
       {CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP}) {
    const Mechanism mechanism = mechanism_of(*wrapping_by(type));
    const std::string name = pkcs11::mechanism_name(type);
    std::string detail;
    rows.push_back(probe_row("wrap and unwrap by " + name, "another mechanism, or no backups", [&] {
      if (by.failure) throw Error(*by.failure);
      return wraps_and_unwraps(token, mechanism, by, objects, detail);
    }));
    rows.back().detail = rows.back().state == ProbeState::works ? detail : "";
    if (rows.back().state != ProbeState::works || type == CKM_AES_KEY_WRAP || by.value.empty())
      continue;
    rows.push_back(probe_row("restore a protected key by " + name,
                             "no restoring on this token: what it unwraps could leave it",
                             [&] { return restores_protected(token, mechanism, by, objects); }));
  }
  return rows;
}

}  // namespace hsmith::tokens
