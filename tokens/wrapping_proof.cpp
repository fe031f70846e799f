// Attacks on session keys: what must not work is tried, before a key is made that relies on it.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/attacks.h"
#include "tokens/import.h"
#include "tokens/made_key.h"
#include "tokens/wrapping.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

// Answers about who asks, or about a key that is not shown to them; beside those about the key
// itself (attacks.h). Another failure proves nothing.
bool is_refusal(const std::string& ckr) {
  static constexpr std::array kCodes{"CKR_FUNCTION_REJECTED",  "CKR_KEY_HANDLE_INVALID",
                                     "CKR_MECHANISM_INVALID",  "CKR_OBJECT_HANDLE_INVALID",
                                     "CKR_SESSION_READ_ONLY",  "CKR_UNWRAPPING_KEY_HANDLE_INVALID",
                                     "CKR_USER_NOT_LOGGED_IN", "CKR_WRAPPING_KEY_HANDLE_INVALID"};
  return is_about_key(ckr) || std::find(kCodes.begin(), kCodes.end(), ckr) != kCodes.end();
}

[[noreturn]] void fail_allowed(const std::string& doing) {
  throw Error(Kind::unsupported, doing + ": the token lets it be done")
      .hint(
          "a backup would be no safer than the key outside of the token; make keys without "
          "--backup-under, each on its own token");
}

template <typename Work>
void must_be_refused(const std::string& what, Work work) {
  const std::string doing = "nobody can " + what;
  try {
    work();
  } catch (const Error& error) {
    if (is_refusal(error.ckr())) return;
    throw error.during(doing);
  }
  fail_allowed(doing);
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

pkcs11::KeyPair make_sample(const OpenToken& token, const KeySpec& spec, bool is_private) {
  const Template public_key = changed(public_key_template(spec), CKA_TOKEN, false);
  const Template private_key = changed(for_backup(private_key_template(spec)), CKA_TOKEN, false);
  return token.session->generate_pair(generation_mechanism(*spec.type), public_key,
                                      changed(private_key, CKA_PRIVATE, is_private));
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

void attack_reading(const OpenToken& token, const std::string& what, CK_OBJECT_HANDLE handle) {
  if (is_readable(token, read_key(token, handle, CKO_SECRET_KEY)))
    fail_allowed("nobody can read " + what);
}

// "wrap the wrapping key by CKM_AES_KEY_WRAP under a key that nobody trusts"
std::string attack_words(const Attack& attack, const std::string& what) {
  if (attack.kind == "read") return fmt::format("read {} of {}", attack.with, what);
  if (attack.kind == "copy") return fmt::format("copy {} with {}", what, attack.with);
  if (attack.kind == "wrap" || attack.kind == "unwrap")
    return fmt::format("{} {} by {} under a key that nobody trusts", attack.kind, what,
                       attack.with);
  return fmt::format("change {} to {}", what, attack.with);
}

// All that `key prove` tries, on a session key and on copies of it (attacks.h): each attempt of
// these kinds must be refused; by the mechanisms that wrap no attempt may get anything out, and one
// must be refused, or the answers would prove nothing.
void must_withstand(const OpenToken& token, const std::string& what, const Key& key, EVP_PKEY* half,
                    std::initializer_list<std::string_view> kinds) {
  SessionObjects objects(token);
  const Say silent = [](std::string_view) {};
  std::size_t wraps_refused = 0;
  for (const Attack& attack : attack_session_key({token, key, half, objects, silent})) {
    const std::string doing = "nobody can " + attack_words(attack, what);
    const bool wraps = attack.kind == "wrap" || attack.kind == "unwrap";
    if (!wraps && std::find(kinds.begin(), kinds.end(), attack.kind) == kinds.end()) continue;
    if (attack.result == AttackResult::worked || attack.result == AttackResult::rubbish)
      fail_allowed(doing);
    if (attack.result == AttackResult::refused) {
      wraps_refused += wraps ? 1 : 0;
    } else if (!wraps) {
      throw Error(Kind::token_failed, fmt::format("{}: {}", doing, attack.ckr))
          .ckr(attack.ckr)
          .hint("check module and token with: hsmith token list");
    }
  }
  if (wraps_refused == 0) {
    throw Error(Kind::unsupported,
                fmt::format("nobody can wrap {}: no mechanism of the token answers to that", what));
  }
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

void attack_wrapping_key(const OpenToken& token, CK_OBJECT_HANDLE handle) {
  const Key key = read_key(token, handle, CKO_SECRET_KEY);
  must_withstand(token, "the wrapping key", key, nullptr, {"read", "copy", "set", "widen"});
  must_be_refused("decrypt with the wrapping key what it wrapped", [&] {
    token.session->begin_decrypt({CKM_AES_ECB, {}}, handle);
  });
}

// A security officer has no private objects, so that the template's other demands are tried with a
// key that does not ask for private ones.
void attack_as_officer(const OpenToken& token, const KeySpec& spec, const KeySpec& sample) {
  const CK_OBJECT_HANDLE key =
      make_session_wrapping_key(token, spec, changed(unwrapping_demands(), CKA_PRIVATE, false));
  const Unwrapping tried{token, key,
                         token.session->wrap({wrapping_mechanism(token), {}}, key,
                                             make_sample(token, sample, false).private_key),
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
    attack_reading(token, "the wrapping key without a login", key);
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
  const Bytes wrapped = trial.session->wrap({wrapping_mechanism(trial), {}}, key,
                                            make_sample(trial, sample, false).private_key);
  attack_without_login(trial, key, wrapped, sample, while_logged_out);
}

void try_backup_protection(const OpenToken& token, const Key& wrapping_key, const KeySpec& spec) {
  const OpenToken trial = with_new_session(token);
  KeySpec sample = sample_spec(trial);
  if (spec.type->algorithm == ossl::KeyAlgorithm::ec) sample.type = spec.type;
  const pkcs11::KeyPair made =
      while_doing("try a key for a backup", [&] { return make_sample(trial, sample, true); });
  const Key key = read_key(trial, made.private_key, CKO_PRIVATE_KEY);
  const Key beside = read_key(trial, made.public_key, CKO_PUBLIC_KEY);
  must_withstand(trial, "a key that is made for a backup", key, beside.public_key.get(),
                 {"read", "copy", "set"});
  const Unwrapping tried{
      trial, wrapping_key.handle,
      trial.session->wrap({wrapping_mechanism(trial), {}}, wrapping_key.handle, key.handle),
      honest_template(sample)};
  tried.unwrap(tried.honest);
  attack_unwrapping(tried);
  tried.refuses("unwrap a key so that anybody can use it",
                changed(tried.honest, CKA_PRIVATE, false));
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
