// Attacks on session keys: what must not work is tried, before a key is made that relies on it.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/import.h"
#include "tokens/made_key.h"
#include "tokens/wrapping.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

// What a token answers when it does not let something be done. Another failure proves nothing.
constexpr std::array kRefusals{"CKR_ACTION_PROHIBITED",     "CKR_ATTRIBUTE_READ_ONLY",
                               "CKR_ATTRIBUTE_SENSITIVE",   "CKR_ATTRIBUTE_VALUE_INVALID",
                               "CKR_FUNCTION_REJECTED",     "CKR_KEY_FUNCTION_NOT_PERMITTED",
                               "CKR_KEY_HANDLE_INVALID",    "CKR_KEY_NOT_WRAPPABLE",
                               "CKR_KEY_UNEXTRACTABLE",     "CKR_MECHANISM_INVALID",
                               "CKR_OBJECT_HANDLE_INVALID", "CKR_SESSION_READ_ONLY",
                               "CKR_TEMPLATE_INCONSISTENT", "CKR_UNWRAPPING_KEY_HANDLE_INVALID",
                               "CKR_USER_NOT_LOGGED_IN",    "CKR_WRAPPING_KEY_HANDLE_INVALID"};

template <typename Attack>
void must_be_refused(const std::string& what, Attack attack) {
  const std::string doing = "nobody can " + what;
  try {
    attack();
  } catch (const Error& error) {
    if (std::find(kRefusals.begin(), kRefusals.end(), error.ckr()) != kRefusals.end()) return;
    throw error.during(doing);
  }
  throw Error(Kind::unsupported, doing + ": the token lets it be done")
      .hint(
          "a backup would be no safer than the key outside of the token; make keys without "
          "--backup-under, each on its own token");
}

// The same token with a session of its own, whose objects are gone when it is closed.
OpenToken with_new_session(const OpenToken& token) {
  OpenToken other = token;
  other.session = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_write);
  return other;
}

Template changed(Template made, CK_ATTRIBUTE_TYPE type, bool value) {
  made.leave_out(type).set_bool(type, value);
  return made;
}

// A pair for trying: small and quick where the token makes EC keys.
KeySpec sample_spec(const OpenToken& token) {
  const auto mechanisms = token.module->mechanisms(token.slot);
  const bool has_ec =
      std::find(mechanisms.begin(), mechanisms.end(), CKM_EC_KEY_PAIR_GEN) != mechanisms.end();
  KeySpec spec;
  spec.type = &ossl::key_type_named(has_ec ? "ec:p256" : "rsa:2048");
  spec.uses = {Use::sign};
  spec.label = "hsmith tries what the token does";
  spec.id = {'t', 'r', 'y'};
  return spec;
}

CK_OBJECT_HANDLE make_sample(const OpenToken& token, const KeySpec& spec, bool is_private) {
  const Template public_key = changed(public_key_template(spec), CKA_TOKEN, false);
  const Template private_key = changed(for_backup(private_key_template(spec)), CKA_TOKEN, false);
  return token.session
      ->generate_pair(generation_mechanism(*spec.type), public_key,
                      changed(private_key, CKA_PRIVATE, is_private))
      .private_key;
}

// What comes out of a wrapped sample, by the template that is tried.
struct Unwrapping {
  const OpenToken& token;
  CK_OBJECT_HANDLE key;
  Bytes wrapped;
  Template honest;

  CK_OBJECT_HANDLE unwrap(const Template& as) const {
    return token.session->unwrap({wrapping_mechanism(token), {}}, key, wrapped, as);
  }
  void refuses(const char* what, const Template& as) const {
    must_be_refused(what, [&] { unwrap(as); });
  }
};

void attack_unwrapping(const Unwrapping& tried) {
  tried.refuses("unwrap a key so that it can be read", changed(tried.honest, CKA_SENSITIVE, false));
  tried.refuses("unwrap a key so that any key can wrap it",
                changed(tried.honest, CKA_WRAP_WITH_TRUSTED, false));
  Template silent = tried.honest;
  tried.refuses("unwrap a key so that any key can wrap it, by not speaking of it",
                silent.leave_out(CKA_WRAP_WITH_TRUSTED));
  tried.refuses("unwrap a key as a secret that can be read", readable_secret_template(0));
}

// `what` is "the wrapping key" or "a key". Each change is tried on the key and on a copy.
void attack_attributes(const OpenToken& token, const std::string& what, CK_OBJECT_HANDLE key,
                       CK_ATTRIBUTE_TYPE type, bool value, const char* so_that) {
  Template weaker;
  weaker.set_bool(type, value);
  must_be_refused(fmt::format("change {} so that {}", what, so_that),
                  [&] { token.session->set(key, weaker); });
  weaker.set_bool(CKA_TOKEN, false);
  must_be_refused(fmt::format("copy {} so that {}", what, so_that),
                  [&] { token.session->copy(key, weaker); });
}

void attack_reading(const OpenToken& token, const std::string& what, CK_OBJECT_HANDLE handle,
                    CK_OBJECT_CLASS object_class) {
  const Key key = read_key(token, handle, object_class);
  if (!is_readable(token, key)) return;
  throw Error(Kind::unsupported,
              fmt::format("nobody can read {}: the token lets it be done", what));
}

// An ordinary key for wrapping, which nobody trusts.
CK_OBJECT_HANDLE make_untrusted(const OpenToken& token, const char* purpose, bool is_private) {
  Template key;
  key.set_bool(CKA_TOKEN, false)
      .set_bool(CKA_PRIVATE, is_private)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_EXTRACTABLE, false)
      .set_bool(CKA_WRAP, true)
      .set_number(CKA_VALUE_LEN, 32)
      .set_text(CKA_LABEL, purpose);
  return token.session->generate({CKM_AES_KEY_GEN, {}}, key);
}

void attack_wrapping(const OpenToken& token, const std::string& what, CK_OBJECT_HANDLE key,
                     bool is_private) {
  const CK_OBJECT_HANDLE untrusted = make_untrusted(token, "hsmith tries to wrap", is_private);
  must_be_refused(fmt::format("wrap {} under a key that nobody trusts", what), [&] {
    token.session->wrap({wrapping_mechanism(token), {}}, untrusted, key);
  });
}

// The wrapping key as it will be, but for this session.
CK_OBJECT_HANDLE make_session_wrapping_key(const OpenToken& token, const KeySpec& spec,
                                           const Template& demands) {
  const WrappingTemplate whole = wrapping_key_template(spec, demands);
  Template key = changed(whole.attributes, CKA_TOKEN, false);
  return token.session->generate(generation_mechanism(*spec.type), key.leave_out(CKA_DESTROYABLE));
}

// As a backup is restored, but for this session.
Template honest_template(const KeySpec& sample) {
  return changed(for_backup(unwrapped_private_key_template(sample)), CKA_TOKEN, false);
}

void attack_wrapping_key(const OpenToken& token, CK_OBJECT_HANDLE key) {
  const std::string what = "the wrapping key";
  attack_reading(token, what, key, CKO_SECRET_KEY);
  attack_wrapping(token, what, key, false);
  attack_attributes(token, what, key, CKA_EXTRACTABLE, true, "it can leave the token");
  attack_attributes(token, what, key, CKA_SENSITIVE, false, "it can be read");
  attack_attributes(token, what, key, CKA_DECRYPT, true, "it decrypts what it wrapped");
  must_be_refused("decrypt with the wrapping key what it wrapped", [&] {
    token.session->begin_decrypt({CKM_AES_ECB, {}}, key);
  });
}

// A security officer has no private objects, so that the template's other demands are tried with a
// key that does not ask for private ones.
void attack_as_officer(const OpenToken& token, const KeySpec& spec, const KeySpec& sample) {
  const CK_OBJECT_HANDLE key =
      make_session_wrapping_key(token, spec, changed(unwrapping_demands(), CKA_PRIVATE, false));
  const Unwrapping tried{
      token, key,
      token.session->wrap({wrapping_mechanism(token), {}}, key, make_sample(token, sample, false)),
      changed(honest_template(sample), CKA_PRIVATE, false)};
  tried.unwrap(tried.honest);  // or the refusals would prove nothing
  attack_unwrapping(tried);
}

void attack_without_login(
    const OpenToken& token, CK_OBJECT_HANDLE key, const Bytes& wrapped, const KeySpec& sample,
    const std::function<void(const std::function<void()>&)>& while_logged_out) {
  const Unwrapping tried{token, key, wrapped, honest_template(sample)};
  while_logged_out([&] {
    tried.refuses("unwrap a key without a login", tried.honest);
    tried.refuses("unwrap a key without a login so that anybody can use it",
                  changed(tried.honest, CKA_PRIVATE, false));
    attack_reading(token, "the wrapping key without a login", key, CKO_SECRET_KEY);
  });
}

void try_wrapping_keys(const OpenToken& token, const KeySpec& spec,
                       const std::function<void(const std::function<void()>&)>& while_logged_out) {
  const OpenToken trial = with_new_session(token);
  const KeySpec sample = sample_spec(trial);
  KeySpec tried = spec;
  tried.label = sample.label;
  tried.id = sample.id;
  const CK_OBJECT_HANDLE key = while_doing("try a trusted wrapping key", [&] {
    return make_session_wrapping_key(trial, tried, unwrapping_demands());
  });
  const std::string weakness = weakness_of(trial, read_key(trial, key, CKO_SECRET_KEY));
  if (!weakness.empty()) {
    throw Error(Kind::unsupported, "try a trusted wrapping key: what it makes " + weakness);
  }
  attack_wrapping_key(trial, key);
  attack_as_officer(trial, tried, sample);
  const Bytes wrapped =
      trial.session->wrap({wrapping_mechanism(trial), {}}, key, make_sample(trial, sample, false));
  attack_without_login(trial, key, wrapped, sample, while_logged_out);
  trial.session->close();
}

void try_backup_protection(const OpenToken& token, const Key& wrapping_key, const KeySpec& spec) {
  const OpenToken trial = with_new_session(token);
  KeySpec sample = sample_spec(trial);
  if (spec.type->algorithm == ossl::KeyAlgorithm::ec) sample.type = spec.type;
  const std::string what = "a key that is made for a backup";
  const CK_OBJECT_HANDLE key =
      while_doing("try a key for a backup", [&] { return make_sample(trial, sample, true); });
  attack_reading(trial, what, key, CKO_PRIVATE_KEY);
  attack_wrapping(trial, what, key, true);
  attack_attributes(trial, what, key, CKA_SENSITIVE, false, "it can be read");
  attack_attributes(trial, what, key, CKA_WRAP_WITH_TRUSTED, false, "any key can wrap it");
  const Unwrapping tried{
      trial, wrapping_key.handle,
      trial.session->wrap({wrapping_mechanism(trial), {}}, wrapping_key.handle, key),
      honest_template(sample)};
  tried.unwrap(tried.honest);
  attack_unwrapping(tried);
  tried.refuses("unwrap a key so that anybody can use it",
                changed(tried.honest, CKA_PRIVATE, false));
  trial.session->close();
}

std::string proving(const OpenToken& token) {
  return fmt::format("prove on the token {} that keys stay under trusted keys",
                     quoted(token.info.label));
}

}  // namespace

void prove_wrapping_keys(
    const OpenToken& token, const KeySpec& spec,
    const std::function<void(const std::function<void()>&)>& while_logged_out) {
  while_doing(proving(token), [&] { try_wrapping_keys(token, spec, while_logged_out); });
}

void prove_backup_protection(const OpenToken& token, const Key& wrapping_key, const KeySpec& spec) {
  while_doing(proving(token), [&] { try_backup_protection(token, wrapping_key, spec); });
}

}  // namespace hsmith::tokens
