// What particular modules do otherwise than the standard says. Each line has its version and
// reason.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "pkcs11/module.h"
#include "src/base/error.h"

namespace hsmith::tokens {

struct ModuleQuirks {
  // The module rewrites the token's own file at each login and other processes that read it then
  // fail (SoftHSM 2.6.1: a quarter to a third of parallel calls). One process at a time starts and
  // logs in; what fails all the same is tried again.
  bool rewrites_at_login = false;
  // Threads of one process wait for each other (SoftHSM 2.6.1: one lock around every allocation of
  // secret memory; two threads sign 1.1 times as much with P-256, two processes 1.9 times).
  bool threads_wait = false;
};

// By the module's file name, so that it is known before the module is loaded.
ModuleQuirks module_quirks(const std::string& module_path);

// What the user knows of a module of this file name ([quirks."NAME"] of the configuration): the
// names above with "true" or "false", which count before what is known here. Once for each module,
// before any is started. Throws configuration for another name or value.
void set_module_quirks(const std::string& file_name,
                       const std::map<std::string, std::string>& values);

// What a token does otherwise. By what it says of itself, so that it is known behind a module that
// only passes calls on too.
struct TokenQuirks {
  // Keys have places of their own, which are their ids, of one byte. None: any id will do.
  unsigned char first_place = 0;
  unsigned char last_place = 0;
  // Keys and certificates are the security officer's to make; a key cannot be deleted, but another
  // one may be made in its place; labels are the token's own.
  bool officer_makes_keys = false;
  bool keeps_keys = false;
  bool fixed_labels = false;
  // It says that EC keys decrypt and do not derive; they do what EC keys do.
  bool ec_keys_derive = false;
  // It lists objects from memory, those of a card that is gone too: what a generation or an
  // installation left on the card when it failed, only the next process sees.
  bool lists_from_memory = false;
  // It takes no second certificate with the id of one that is there.
  bool one_certificate_an_id = false;
  // RSA keys sign a digest by raw decryption, and so must be made able to decrypt too.
  bool rsa_signs_by_decrypting = false;
  // Attributes that it does not take for a new key, whatever their value.
  std::span<const CK_ATTRIBUTE_TYPE> unknown_attributes{};
  // The token puts a certificate beside a new key so that it shows the key at all: how its subject
  // begins.
  std::string_view placeholder_subject{};
  // The code that it answers when it makes no keys of such a curve or size.
  std::string_view refuses_type{};
  // It says that none of its keys is local; one that was written to it is not always sensitive, and
  // of one that it made it says nothing of that.
  bool never_local = false;
  // A type of keys that it makes and cannot use.
  std::string_view unusable_type{};
  // How a locked PIN is opened again where the security officer cannot, and whether the old one is
  // good again then.
  std::string_view unblocks_pin{};
  bool unblocking_keeps_pin = false;
  // Its module takes no key from outside: what does.
  std::string_view takes_keys_by{};
  // Why C_InitToken would leave it wiped and of no use, for some only once its first SO PIN was
  // changed; and what makes it new again.
  std::string_view spoilt_by_init{};
  bool spoilt_once_so_pin_changed = false;
  std::string_view made_new_by{};

  bool has_places() const { return last_place != 0; }
};
const TokenQuirks& token_quirks(const pkcs11::TokenInfo& token);

// The command by which a locked user PIN is opened again: the token's own, or the security
// officer's; and a hint with it.
std::string unblock_command(const pkcs11::TokenInfo& token);
std::string unblock_hint(const pkcs11::TokenInfo& token);

// True where something may be on the token that this process cannot see, after `error` from a call
// that makes objects and of which nothing was found to be removed.
bool may_hide_leftovers(const pkcs11::TokenInfo& token, const Error& error);

// True for the codes that such a module answers when another process was rewriting the token.
// Never a code that says anything about the PIN being right or wrong.
bool is_busy_code(const std::string& ckr);

}  // namespace hsmith::tokens
