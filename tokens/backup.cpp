#include "tokens/backup.h"

#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>
#include <string_view>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/accepted_template.h"
#include "tokens/import.h"
#include "tokens/made_key.h"
#include "tokens/session_objects.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

KeySpec spec_of(const Key& key, EVP_PKEY* half) {
  KeySpec spec;
  const std::string type = ossl::key_type_name(half);
  for (const ossl::KeyType& known : ossl::key_types()) {
    if (type == known.name) spec.type = &known;
  }
  if (spec.type == nullptr) {
    throw Error(Kind::unsupported,
                fmt::format("back up {}: hsmith makes no keys of type {}", key.uri, type));
  }
  if (key.sign == true) spec.uses.insert(Use::sign);
  if (key.decrypt == true) spec.uses.insert(Use::decrypt);
  if (key.derive == true) spec.uses.insert(Use::derive);
  spec.label = key.label;
  spec.id = key.id;
  return spec;
}

MakeObjects unwrapping(const Key& wrapping_key, const KeyWrap& wrap, const BackedUpKey& key) {
  return [&](const pkcs11::Session& session, std::span<const Template> templates) {
    return std::vector{
        session.unwrap({wrap.mechanism, {}}, wrapping_key.handle, key.wrapped, templates.front())};
  };
}

// A copy of the key for this session.
CK_OBJECT_HANDLE unwrap_copy(const OpenToken& token, const Key& wrapping_key, const KeyWrap& wrap,
                             const KeySpec& spec, const BackedUpKey& key) {
  Template as = for_backup(unwrapped_private_key_template(spec));
  as.leave_out(CKA_TOKEN).set_bool(CKA_TOKEN, false);
  return make_as_accepted(token, {as}, unwrapping(wrapping_key, wrap, key), [] {}).objects.front();
}

bool is_one_of(const Error& error, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), error.ckr()) != codes.end();
}

// Whether `error` of unwrapping tells that the bytes are damaged, or were wrapped under another
// key. SoftHSM 2.6 says no more of that than that something failed: then it must fail again, on a
// token that does answer.
bool is_about_wrapped_bytes(const Error& error, const OpenToken& trial, const Key& wrapping_key,
                            const KeyWrap& wrap, const BackedUpKey& key) {
  if (is_one_of(error, {"CKR_DATA_INVALID", "CKR_DATA_LEN_RANGE", "CKR_ENCRYPTED_DATA_INVALID",
                        "CKR_ENCRYPTED_DATA_LEN_RANGE", "CKR_WRAPPED_KEY_INVALID",
                        "CKR_WRAPPED_KEY_LEN_RANGE"}))
    return true;
  if (!is_one_of(error, {"CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED"})) return false;
  try {
    trial.session->destroy(unwrap_copy(trial, wrapping_key, wrap, key.spec, key));
    return false;
  } catch (const Error&) {
  }
  try {
    static constexpr CK_ATTRIBUTE_TYPE kClass[] = {CKA_CLASS};
    return trial.session->get(wrapping_key.handle, kClass).number(CKA_CLASS) == CKO_SECRET_KEY;
  } catch (const Error&) {
    return false;
  }
}

Key read_copy(const OpenToken& token, CK_OBJECT_HANDLE handle, const BackedUpKey& key) {
  Key copy = read_key(token, handle, CKO_PRIVATE_KEY);
  copy.public_key = {ossl::share(key.public_key.get()).release(), EVP_PKEY_free};
  return copy;
}

// By a copy that may sign, whatever the key is for: it is gone when its session ends.
Bytes signature_by_copy(const OpenToken& token, const Key& wrapping_key, const KeyWrap& wrap,
                        const BackedUpKey& key, ByteView to_sign) {
  const OpenToken trial = with_new_session(token);
  KeySpec spec = key.spec;
  spec.uses.insert(Use::sign);
  const Key copy = read_copy(trial, unwrap_copy(trial, wrapping_key, wrap, spec, key), key);
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
  const Bytes signature =
      remote_key(trial, copy)->sign(scheme, ossl::digest(*scheme.digest, to_sign));
  return signature;
}

BackedUpKey wrap_key(const OpenToken& token, const Inventory& inventory, const Key& wrapping_key,
                     const KeyWrap& wrap, const Key& key) {
  BackedUpKey made;
  made.public_key = public_key_of(inventory, key);
  made.spec = spec_of(key, made.public_key.get());
  for (const TokenCertificate& certificate : objects_of(inventory, key).certificates)
    made.certificates.push_back(certificate.der);
  made.wrapped = token.session->wrap({wrap.mechanism, {}}, wrapping_key.handle, key.handle);
  return made;
}

Generated restore_and_check(const OpenToken& token, const Key& wrapping_key, const KeyWrap& wrap,
                            const BackedUpKey& key, Making& making) {
  Accepted made = make_as_accepted(token, {for_backup(unwrapped_private_key_template(key.spec))},
                                   unwrapping(wrapping_key, wrap, key),
                                   [&] { remove_leftovers(token, making, key.spec); });
  making.made = made.objects;
  making.made.push_back(
      token.session->create(imported_public_key_template(key.spec, key.public_key.get())));
  keep_public_key(token, made.objects.front(), key.public_key.get());
  return {find_and_prove(token, key.spec, Leaving::under_trusted_keys, key.public_key.get()),
          std::move(made.notes)};
}

}  // namespace

void check_is_for_backup(const OpenToken& token, const Key& key) {
  if (while_doing("look at " + key.uri, [&] { return is_for_backup(token, key); })) return;
  throw Error(Kind::refused, fmt::format("back up {}: it was not made to leave its token", key.uri))
      .hint("only keys made with hsmith key generate --backup-under WRAPKEY can be backed up");
}

Backup make_backup(const OpenToken& token, const Key& wrapping_key, const std::vector<Key>& keys) {
  const KeyWrap wrap = key_wraps(token).front();
  const Inventory inventory = take_inventory(token);
  Backup backup;
  backup.created = std::time(nullptr);
  backup.token_label = token.info.label;
  backup.manufacturer = token.info.manufacturer;
  backup.model = token.info.model;
  backup.serial = token.info.serial;
  backup.wrapping_label = wrapping_key.label;
  backup.wrapping_id = wrapping_key.id;
  backup.check_value = check_value(token, wrapping_key);
  backup.mechanism = pkcs11::mechanism_name(wrap.mechanism);
  backup.padding = padding_name(wrap.padding);
  for (const Key& key : keys) {
    backup.keys.push_back(
        while_doing(fmt::format("back up {} under {}", key.uri, wrapping_key.uri),
                    [&] { return wrap_key(token, inventory, wrapping_key, wrap, key); }));
  }
  const Bytes to_sign = backup_to_sign(backup);
  for (BackedUpKey& key : backup.keys) {
    while_doing(fmt::format("prove the backup of the key {}", quoted(key.spec.label)), [&] {
      key.signature = signature_by_copy(token, wrapping_key, wrap, key, to_sign);
      if (const auto problem = backup_problem(token, wrapping_key, wrap, key)) throw *problem;
    });
  }
  return backup;
}

KeyWrap wrap_for(const OpenToken& token, const Key& wrapping_key, const Backup& backup) {
  const std::string doing = fmt::format("open the backup with {}", wrapping_key.uri);
  const std::string is = backup.check_value.empty()
                             ? ""
                             : while_doing(doing, [&] { return check_value(token, wrapping_key); });
  if (!is.empty() && is != backup.check_value) {
    throw Error(Kind::mismatch,
                fmt::format("{}: it was made under another wrapping key, {} with the check value "
                            "{}; this one's is {}",
                            doing, quoted(backup.wrapping_label), backup.check_value, is))
        .hint("how a wrapping key comes to a second token: docs/backup.md");
  }
  const std::vector<KeyWrap> wraps = key_wraps(token);
  // Zeros behind a private key's DER do not change it.
  const bool is_5649 = backup.padding.starts_with(padding_name(WrapPadding::rfc5649));
  for (const KeyWrap& wrap : wraps) {
    const std::string padding = padding_name(wrap.padding);
    if (padding == backup.padding) return wrap;
    if (is_5649 && padding.starts_with(padding_name(WrapPadding::rfc5649))) return wrap;
  }
  throw Error(
      Kind::unsupported,
      fmt::format("{}: the backup was wrapped by {}, which is {} on its token; this token "
                  "has {}",
                  doing, backup.mechanism, backup.padding, padding_name(wraps.front().padding)))
      .hint("restore it to a token of the same kind");
}

std::optional<Error> backup_problem(const OpenToken& token, const Key& wrapping_key,
                                    const KeyWrap& wrap, const BackedUpKey& key) {
  const OpenToken trial = with_new_session(token);
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  try {
    handle = unwrap_copy(trial, wrapping_key, wrap, key.spec, key);
  } catch (const Error& error) {
    if (!is_about_wrapped_bytes(error, trial, wrapping_key, wrap, key)) throw;
    return Error(
               Kind::mismatch,
               fmt::format("it does not unwrap: it is damaged, or was made under another wrapping "
                           "key: {}",
                           error.what()))
        .ckr(error.ckr());
  }
  const Key copy = read_copy(trial, handle, key);
  std::optional<Error> problem;
  if (!is_for_backup(trial, copy) || is_readable(trial, copy)) {
    problem = Error(Kind::unsupported,
                    "the token does not give it the protection that it had: private, sensitive, "
                    "extractable under trusted keys only");
  } else if (!holds_private_half(trial, copy, key.public_key.get())) {
    problem = Error(Kind::mismatch, "what it holds is another key than its public key says");
  }
  // Not left to the session's end, of which a token may think otherwise: the copy has the key's id.
  trial.session->destroy(handle);
  return problem;
}

Generated restore_key(const OpenToken& token, const Key& wrapping_key, const KeyWrap& wrap,
                      const BackedUpKey& key) {
  const std::string doing = fmt::format("restore the key {} to the token {}",
                                        quoted(key.spec.label), quoted(token.info.label));
  const auto problem =
      while_doing(doing, [&] { return backup_problem(token, wrapping_key, wrap, key); });
  if (problem) throw Error(*problem).during(doing);
  return made_or_removed(token, key.spec, doing, [&](Making& making) {
    return restore_and_check(token, wrapping_key, wrap, key, making);
  });
}

}  // namespace hsmith::tokens
