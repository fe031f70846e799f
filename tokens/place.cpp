// What can be known before a key is made: whether the token makes it, for whom, where, and whether
// it can be used then.
#include <algorithm>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/keys.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

using ossl::KeyAlgorithm;

// What the token says of the sizes of keys that it makes.
void check_size(const OpenToken& token, const ossl::KeyType& type, const std::string& doing) {
  const CK_MECHANISM_TYPE making = generation_mechanism(type).type;
  const pkcs11::MechanismInfo can =
      while_doing(doing, [&] { return token.module->mechanism_info(token.slot, making); });
  const auto bits = static_cast<CK_ULONG>(type.bits);
  if (bits >= can.min_key_size && bits <= can.max_key_size) return;
  throw Error(Kind::unsupported, fmt::format("{}: it makes {} keys of {} to {} bits", doing,
                                             type.algorithm == KeyAlgorithm::rsa ? "RSA" : "EC",
                                             can.min_key_size, can.max_key_size))
      .hint("what it can do: hsmith token info");
}

// The one mechanism that a use of such a key needs; RSA keys have several ways.
std::optional<CK_MECHANISM_TYPE> needed_for(Use use, KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::ed25519) return CKM_EDDSA;
  if (algorithm != KeyAlgorithm::ec) return std::nullopt;
  return use == Use::sign ? CKM_ECDSA : CKM_ECDH1_DERIVE;
}

// Some tokens make keys that they cannot use (OpenSC 0.23 with an ISO 7816 card: ECDSA with SHA-1
// only; p11-kit's client: no ECDH).
void check_usable(const OpenToken& token, const KeySpec& spec, const std::string& doing) {
  const auto offered = while_doing(doing, [&] { return token.module->mechanisms(token.slot); });
  for (const Use use : spec.uses) {
    const auto needed = needed_for(use, spec.type->algorithm);
    if (!needed || std::find(offered.begin(), offered.end(), *needed) != offered.end()) continue;
    throw Error(Kind::unsupported, fmt::format("{}: it has no {} to {} with", doing,
                                               pkcs11::mechanism_name(*needed), use_names({use})))
        .hint("what it can do: hsmith token info");
  }
  if (spec.type->name == token_quirks(token.info).unusable_type) {
    throw Error(Kind::unsupported, fmt::format("{}: it cannot use keys of type {} that it makes",
                                               doing, spec.type->name));
  }
}

}  // namespace

void check_place(const OpenToken& token, const KeySpec& spec) {
  const TokenQuirks& quirks = token_quirks(token.info);
  const std::string doing = fmt::format("generate the key {} on the token {}", quoted(spec.label),
                                        quoted(token.info.label));
  if (quirks.officer_makes_keys && token.login != Login::so) {
    throw Error(Kind::login_failed, doing + ": only its security officer makes keys")
        .hint(
            "make it first, its name is id:ID then: hsmith key generate NAME --type TYPE --id ID "
            "--login-as so");
  }
  check_usable(token, spec, doing);
  if (!quirks.has_places()) return;
  check_size(token, *spec.type, doing);
  const bool is_place = spec.id.size() == 1 && spec.id.front() >= quirks.first_place &&
                        spec.id.front() <= quirks.last_place;
  if (is_place) return;
  throw Error(Kind::usage,
              fmt::format("{}: {}", doing,
                          spec.id.empty() ? std::string("it wants to be told the id")
                                          : fmt::format("it has no place {}", hex(spec.id))))
      .hint(fmt::format("the token's ids are {:02x} to {:02x}, in hex: --id {:02x}",
                        quirks.first_place, quirks.last_place, quirks.first_place));
}

}  // namespace hsmith::tokens
