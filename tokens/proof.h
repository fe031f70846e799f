// Evidence that a key cannot leave its token: what was tried and what the token says, in a file.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokens/attacks.h"
#include "tokens/key_claims.h"

namespace hsmith::tokens {

// What a report says. Texts from the token are UTF-8 or escaped.
struct Proof {
  std::string made;     // RFC 3339
  std::string program;  // "hsmith 0.1.0"
  std::string uri;      // of the key
  std::string type;     // "rsa:2048"
  Bytes public_key;     // SubjectPublicKeyInfo, DER
  // Names and values of what token and module say that they are.
  std::vector<std::pair<std::string, std::string>> token;
  std::vector<std::pair<std::string, std::string>> module;
  KeyClaims attributes;
  std::vector<Attack> attacks;
  std::size_t objects = 0;         // on the token, before and after
  std::vector<Bytes> attestation;  // certificates of the device for the key, DER, leaf first
};

// One line of JSON, always the same for the same report: what is hashed and signed.
std::string report_text(const Proof& proof);
// Throws malformed for anything that report_text would not have written just so.
Proof parse_report(std::string_view text, const std::string& input);

enum class FactState { tested, claimed, not_claimed, not_tested, refuted };
const char* state_name(FactState state);

// What the report comes to, fact by fact.
struct Fact {
  std::string name;  // "value_stays_inside", snake_case, stable
  FactState state = FactState::not_tested;
  std::string text;  // why, one line
};
std::vector<Fact> facts_of(const Proof& proof);

// True of a key that no attempt got out, and that by the token's word leaves wrapped under a
// trusted key only (key generate --backup-under).
bool leaves_for_backups_only(const Proof& proof);

// Why the key could leave; empty when nothing got it out and the token does not say that it may.
std::string way_out(const Proof& proof);

}  // namespace hsmith::tokens
