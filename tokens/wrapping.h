// Wrapping keys: made by the security officer, trusted, and found again for a backup.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tokens/keys.h"
#include "tokens/selector.h"

namespace hsmith::tokens {

// What a key wrap puts before RFC 3394 or does with what is too short: CKM_AES_KEY_WRAP_PAD alone
// stands for three of these.
enum class WrapPadding { rfc5649, rfc5649_after_zeros, pkcs7_to_8, pkcs7_to_16 };
// "RFC 5649", "RFC 3394 after PKCS#7 padding to 8 bytes".
std::string padding_name(WrapPadding padding);

// A key wrap that the token has, and what it really does: found out with session keys that are
// known here.
struct KeyWrap {
  CK_MECHANISM_TYPE mechanism = 0;
  WrapPadding padding = WrapPadding::rfc5649;
};
// The wraps of private keys that the token has, the best first: CKM_AES_KEY_WRAP_KWP, then
// CKM_AES_KEY_WRAP_PAD. Throws unsupported when there is none: what only encrypts (CBC) would not
// notice a change.
std::vector<KeyWrap> key_wraps(const OpenToken& token);
// The first mechanism of these, without trying it.
CK_MECHANISM_TYPE wrapping_mechanism(const OpenToken& token);

// An AES key that the security officer trusts to wrap and to unwrap, and to do nothing else;
// public, for an officer has no private objects; neither changed, copied nor destroyed. What it
// unwraps is a private key, private, sensitive, and wrapped again under trusted keys only.
struct WrappingTemplate {
  pkcs11::Template attributes;
  // The value of CKA_UNWRAP_TEMPLATE points into these two.
  std::shared_ptr<const pkcs11::Template> unwrapped;
  std::shared_ptr<const std::vector<CK_ATTRIBUTE>> view;
};
WrappingTemplate wrapping_key_template(const KeySpec& spec, const pkcs11::Template& unwrapped);
// What that demands of a key that is unwrapped.
pkcs11::Template unwrapping_demands();

// Makes a wrapping key by these templates and reads it back. The spec has an id.
// `prove_wrapping_keys` comes before: it cannot be removed again.
Key generate_wrapping_key(const OpenToken& token, const KeySpec& spec);

// The same of a value that is known here, for the two tokens that shall have it.
Key import_wrapping_key(const OpenToken& token, const KeySpec& spec, const Secret& value);

// The wrapping key that the selector names. Throws refused for one that is not trusted, can leave
// the token, can be changed, or does more than to wrap and unwrap.
Key find_wrapping_key(const OpenToken& token, const Selector& selector);

// What makes a key no wrapping key of the security officer's: "can leave the token"; empty when
// nothing does.
std::string weakness_of(const OpenToken& token, const Key& key);

// What tells one wrapping key from another without telling it: the first 8 bytes, hex, of SHA-256
// over 32 zero bytes wrapped by CKM_AES_KEY_WRAP (RFC 3394). Empty where the token does not do it.
std::string check_value(const OpenToken& token, const Key& wrapping_key);
std::string check_value(const Secret& wrapping_key);

// Attacks that must fail, on session keys that are gone afterwards. The first one that works is
// unsupported: this token's attributes are only words.
//
// For a new wrapping key, as the security officer: reading it, wrapping it, making it weaker, and
// unwrapping with it what then could be read, what anybody could use, and without a login.
// `while_logged_out` logs out, does what it is given, and logs in again.
void prove_wrapping_keys(const OpenToken& token, const KeySpec& spec,
                         const std::function<void(const std::function<void()>&)>& while_logged_out);
// For a key that shall leave under `wrapping_key` only, as the user: reading it, making it weaker,
// wrapping it under other keys, and unwrapping it weaker than it was.
void prove_backup_protection(const OpenToken& token, const Key& wrapping_key, const KeySpec& spec);

}  // namespace hsmith::tokens
