#include "tokens/probe.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "pkcs11/names.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "tokens/attacks.h"
#include "tokens/backup.h"
#include "tokens/hash_mechanism.h"
#include "tokens/import.h"
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

KeySpec session_spec(const char* type, std::set<Use> uses) {
  KeySpec spec;
  spec.type = &ossl::key_type_named(type);
  spec.uses = std::move(uses);
  spec.label = "hsmith probe";
  spec.id = random_bytes(16);
  return spec;
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
ProbeRow decryption_row(const Probe& probe, const SessionPair& pair, const std::string& what,
                        const ossl::RsaEncryption& how) {
  const Bytes plain = random_bytes(32);
  const Bytes ciphertext = encrypted(pair.remote->public_key(), how, plain);
  ProbeRow row = probe_row(probe, what, "", [&] {
    const pkcs11::Session& session = *probe.token.session;
    session.begin_decrypt(decryption_mechanism(how), pair.key.handle);
    return equal(session.decrypt(ciphertext, {}).reveal(), plain);
  });
  if (row.state == ProbeState::works) return row;
  const ProbeRow instead = probe_row(probe, what, "", [&] {
    return equal(pair.remote->decrypt(how, ciphertext).reveal(), plain);
  });
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
std::optional<SessionPair> generated(const Probe& probe, const char* type, std::set<Use> uses,
                                     std::vector<ProbeRow>& rows) {
  std::optional<SessionPair> pair;
  rows.push_back(
      probe_row(probe, fmt::format("generate {}", type), "take another type of key", [&] {
        pair = make_session_pair(probe, type, std::move(uses));
        return true;
      }));
  return pair;
}

void probe_rsa(const Probe& probe, std::vector<ProbeRow>& rows) {
  const auto pair = generated(probe, "rsa:2048", {Use::sign, Use::decrypt}, rows);
  if (!pair) return;
  rows.push_back(probe_row(probe, "sign rsa pkcs1 sha256", "no RSA signatures",
                           [&] { return signs(*pair, "pkcs1"); }));
  rows.push_back(probe_row(probe, "sign rsa pss sha256", "ask for --scheme pkcs1",
                           [&] { return signs(*pair, "pss"); }));
  const auto& sha1 = ossl::digest_named("sha1");
  const auto& sha256 = ossl::digest_named("sha256");
  rows.push_back(decryption_row(probe, *pair, "decrypt rsa pkcs1",
                                {ossl::RsaPadding::pkcs1, nullptr, nullptr, {}}));
  rows.push_back(decryption_row(probe, *pair, "decrypt rsa oaep sha1",
                                {ossl::RsaPadding::oaep, &sha1, &sha1, {}}));
  rows.push_back(decryption_row(probe, *pair, "decrypt rsa oaep sha256",
                                {ossl::RsaPadding::oaep, &sha256, &sha256, {}}));
  rows.push_back(
      probe_row(probe, "keep rsa keys inside", "keys of this token can leave it: key prove", [&] {
        Proof proof;
        proof.attacks = attack_key(
            {probe.token, pair->key, pair->remote->public_key(), probe.objects, probe.say});
        return way_out(proof).empty();
      }));
}

void probe_curves(const Probe& probe, std::vector<ProbeRow>& rows) {
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521"}) {
    const auto pair = generated(probe, type, {Use::sign, Use::derive}, rows);
    if (!pair) continue;
    rows.push_back(probe_row(probe, fmt::format("sign {} ecdsa", type), "take an RSA key",
                             [&] { return signs(*pair, ""); }));
    rows.push_back(probe_row(probe, fmt::format("derive {} ecdh", type),
                             "messages to this key cannot be opened: take an RSA key",
                             [&] { return agrees(*pair); }));
  }
  const auto pair = generated(probe, "ed25519", {Use::sign}, rows);
  if (pair)
    rows.push_back(
        probe_row(probe, "sign ed25519", "take ec:p256", [&] { return signs(*pair, ""); }));
}

// By the token's mechanism and back; `detail` says how long the wrapped key is.
bool wraps_and_unwraps(const Probe& probe, const Mechanism& mechanism, const WrappingKey& by,
                       std::string& detail) {
  const pkcs11::Session& session = *probe.token.session;
  Template loose;
  loose.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  const Bytes value = random_bytes(32);
  Template secret = loose;
  const CK_OBJECT_HANDLE first = probe.objects.keep(session.create(secret.set(CKA_VALUE, value)));
  const Bytes wrapped = session.wrap(mechanism, by.handle, first);
  detail = fmt::format("32 bytes become {}", wrapped.size());
  const CK_OBJECT_HANDLE back =
      probe.objects.keep(session.unwrap(mechanism, by.handle, wrapped, loose));
  return equal(session.read_secret(back, CKA_VALUE).reveal(), value);
}

void probe_wraps(const Probe& probe, std::vector<ProbeRow>& rows) {
  const WrappingKey by = make_wrapping_key(probe.token, CKK_AES, probe.objects);
  for (const CK_MECHANISM_TYPE type :
       {CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP}) {
    std::string detail;
    rows.push_back(probe_row(probe, "wrap and unwrap by " + pkcs11::mechanism_name(type),
                             "another mechanism, or no backups", [&] {
                               if (by.failure) throw Error(*by.failure);
                               return wraps_and_unwraps(probe, mechanism_of(*wrapping_by(type)), by,
                                                        detail);
                             }));
    if (rows.back().state == ProbeState::works) rows.back().detail = detail;
  }
}

// What the security officer makes, but for this session, and not trusted: users may make those.
Key make_session_wrapping_key(const Probe& probe) {
  KeySpec spec;
  spec.type = &ossl::key_type_named("aes:256");
  spec.label = "hsmith probe";
  spec.id = random_bytes(16);
  const WrappingTemplate whole = wrapping_key_template(spec, unwrapping_demands());
  Template made = for_session(whole.attributes);
  made.leave_out(CKA_TRUSTED).leave_out(CKA_DESTROYABLE);
  const CK_OBJECT_HANDLE handle =
      probe.objects.keep(probe.token.session->generate(generation_mechanism(*spec.type), made));
  return read_key(probe.token, handle, CKO_SECRET_KEY);
}

// A pair for this session that can leave it wrapped: under trusted keys only, or under any.
Key make_session_key_for_backup(const Probe& probe, bool trusted_only) {
  KeySpec spec = session_spec("ec:p256", {Use::sign});
  Template private_key = for_session(for_backup(private_key_template(spec)));
  if (!trusted_only) private_key.leave_out(CKA_WRAP_WITH_TRUSTED);
  const pkcs11::KeyPair made = probe.objects.keep(probe.token.session->generate_pair(
      generation_mechanism(*spec.type), for_session(public_key_template(spec)), private_key));
  return read_key(probe.token, made.private_key, CKO_PRIVATE_KEY);
}

// As key backup, backup-verify and restore do it, up to the file and the token: they do not prove a
// key that comes back otherwise than it was.
bool backs_up(const OpenToken& token, const Key& wrapping_key, const Key& key) {
  key_wraps(token);  // where it has none there is nothing to try
  try {
    const Backup made = make_backup(token, wrapping_key, {key});
    const Backup read = read_backup(as_bytes(backup_text(made)), "the probe");
    const KeyWrap wrap = wrap_for(token, wrapping_key, read);
    return verify_backup_signature(read.keys.front(), backup_to_sign(read)) &&
           !backup_problem(token, wrapping_key, wrap, read.keys.front());
  } catch (const Error& error) {
    if (error.kind() == Kind::unsupported && error.ckr().empty()) return false;
    throw;
  }
}

// The wrapping keys of the security officer's that there are.
std::vector<Key> trusted_keys(const OpenToken& token) {
  std::vector<Key> keys = take_inventory(token).secret_keys;
  std::erase_if(keys, [&](const Key& key) { return !weakness_of(token, key).empty(); });
  return keys;
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

ProbeRow probe_row(const Probe& probe, const std::string& what, const std::string& fallback,
                   const std::function<bool()>& work) {
  probe.say(what);
  try {
    if (work()) return {what, ProbeState::works, "", "", ""};
    return {what, ProbeState::wrong, "", fallback, ""};
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
    const bool lacks = error.kind() == Kind::unsupported;
    return {what, lacks ? ProbeState::absent : ProbeState::failed, error.ckr(), fallback, ""};
  }
}

SessionPair make_session_pair(const Probe& probe, const char* type, std::set<Use> uses) {
  const KeySpec spec = session_spec(type, std::move(uses));
  const pkcs11::KeyPair made = probe.objects.keep(probe.token.session->generate_pair(
      generation_mechanism(*spec.type), for_session(public_key_template(spec)),
      for_session(private_key_template(spec))));
  SessionPair pair{read_key(probe.token, made.private_key, CKO_PRIVATE_KEY), nullptr};
  pair.remote = remote_key(probe.token, pair.key);
  return pair;
}

ProbeRow probe_session_keys(const Probe& probe) {
  return probe_row(probe, "session keys",
                   "nothing more can be tried without leaving keys on the token", [&] {
                     make_ordinary_key(probe.token, probe.objects);
                     return true;
                   });
}

std::vector<ProbeRow> probe_matrix(const Probe& probe) {
  std::vector<ProbeRow> rows;
  probe_rsa(probe, rows);
  probe_curves(probe, rows);
  probe_wraps(probe, rows);
  for (ProbeRow& row : probe_backup(probe)) rows.push_back(std::move(row));
  return rows;
}

std::vector<ProbeRow> probe_backup(const Probe& probe) {
  constexpr const char* kNone = "no backups: what came back would not be protected";
  std::vector<ProbeRow> rows;
  rows.push_back(probe_row(probe, "back up and restore under a session key", kNone, [&] {
    const Key wrapping_key = make_session_wrapping_key(probe);
    return backs_up(probe.token, wrapping_key, make_session_key_for_backup(probe, false));
  }));
  for (const Key& trusted : trusted_keys(probe.token)) {
    rows.push_back(probe_row(
        probe, fmt::format("back up and restore under {}", quoted(trusted.label)), kNone, [&] {
          prove_backup_protection(probe.token, trusted, session_spec("ec:p256", {Use::sign}));
          return backs_up(probe.token, trusted, make_session_key_for_backup(probe, true));
        }));
  }
  return rows;
}

}  // namespace hsmith::tokens
