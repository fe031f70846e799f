#include "tokens/wrapping.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/key_agreement.h"
#include "tokens/import.h"
#include "tokens/made_key.h"
#include "tokens/secret_keys.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

constexpr std::array<CK_MECHANISM_TYPE, 2> kWraps{CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD};

std::vector<CK_MECHANISM_TYPE> wrapping_mechanisms(const OpenToken& token) {
  const std::string doing =
      fmt::format("see what the token {} wraps keys by", quoted(token.info.label));
  std::vector<CK_MECHANISM_TYPE> there;
  while_doing(doing, [&] {
    const std::vector<CK_MECHANISM_TYPE> all = token.module->mechanisms(token.slot);
    for (const CK_MECHANISM_TYPE wrap : kWraps) {
      if (std::find(all.begin(), all.end(), wrap) == all.end()) continue;
      const CK_FLAGS flags = token.module->mechanism_info(token.slot, wrap).flags;
      if ((flags & CKF_WRAP) != 0 && (flags & CKF_UNWRAP) != 0) there.push_back(wrap);
    }
  });
  if (!there.empty()) return there;
  throw Error(Kind::unsupported,
              fmt::format("wrap keys on the token {}: it has neither CKM_AES_KEY_WRAP_KWP nor "
                          "CKM_AES_KEY_WRAP_PAD",
                          quoted(token.info.label)))
      .hint("what it can do: hsmith token info");
}

// A session object whose value is known here.
Template known_key(CK_KEY_TYPE type, ByteView value) {
  Template key;
  key.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, type)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_PRIVATE, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true)
      .set(CKA_VALUE, value);
  return key;
}

std::string first_of_hash(ByteView bytes) {
  return hex(ossl::digest(ossl::digest_named("sha256"), bytes)).substr(0, 16);
}

// PKCS#7 padding to a multiple of `block`, around `secret`.
bool is_padded(ByteView padded, ByteView secret, std::size_t block) {
  const std::size_t more = block - secret.size() % block;
  if (padded.size() != secret.size() + more) return false;
  const auto is_filling = [&](unsigned char byte) { return byte == more; };
  return equal(padded.first(secret.size()), secret) &&
         std::all_of(padded.begin() + static_cast<ptrdiff_t>(secret.size()), padded.end(),
                     is_filling);
}

// How `wrapped` was made of `secret`; nullopt for a way that hsmith does not know.
std::optional<WrapPadding> padding_of(const Secret& wrapping_key, ByteView secret,
                                      ByteView wrapped) {
  const cms::KeyWrap padded{NID_undef, EVP_aes_256_wrap_pad, 32};
  if (const auto plain = cms::unwrap_key(padded, wrapping_key, wrapped)) {
    if (equal(plain->reveal(), secret)) return WrapPadding::rfc5649;
    Bytes filled = to_bytes(secret);
    filled.resize((secret.size() + 7) / 8 * 8);
    if (equal(plain->reveal(), filled)) return WrapPadding::rfc5649_after_zeros;
    return std::nullopt;
  }
  const cms::KeyWrap bare{NID_undef, EVP_aes_256_wrap, 32};
  const auto plain = cms::unwrap_key(bare, wrapping_key, wrapped);
  if (plain && is_padded(plain->reveal(), secret, 8)) return WrapPadding::pkcs7_to_8;
  if (plain && is_padded(plain->reveal(), secret, 16)) return WrapPadding::pkcs7_to_16;
  return std::nullopt;
}

// Nothing of these is secret: they are zeros and nines.
std::optional<WrapPadding> try_padding(const OpenToken& token, CK_MECHANISM_TYPE mechanism) {
  const Bytes wrapping_value(32, 9);
  const Bytes secret_value(21, 0x5a);
  const auto session = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_write);
  Template wrapping = known_key(CKK_AES, wrapping_value);
  wrapping.set_bool(CKA_WRAP, true);
  const CK_OBJECT_HANDLE key = session->create(wrapping);
  const CK_OBJECT_HANDLE secret = session->create(known_key(CKK_GENERIC_SECRET, secret_value));
  const Bytes wrapped = session->wrap({mechanism, {}}, key, secret);
  session->close();
  return padding_of(Secret(wrapping_value), secret_value, wrapped);
}

}  // namespace

std::string weakness_of(const OpenToken& token, const Key& key) {
  static constexpr std::array kAsked{CKA_TRUSTED, CKA_MODIFIABLE, CKA_ENCRYPT, CKA_DECRYPT,
                                     CKA_SIGN,    CKA_VERIFY,     CKA_DERIVE};
  const pkcs11::Attributes is = token.session->get(key.handle, kAsked);
  if (key.type != CKK_AES || key.value_size.value_or(0) < 32) return "is not of type aes:256";
  if (is.flag(CKA_TRUSTED) != true) return "is not trusted by the security officer";
  if (key.sensitive != true || key.extractable != false) return "can leave the token";
  if (is.flag(CKA_MODIFIABLE) != false) return "can be changed";
  if (key.wrap != true || key.unwrap != true) return "does not wrap and unwrap";
  for (const CK_ATTRIBUTE_TYPE use : std::span(kAsked).subspan(2)) {
    if (is.flag(use).value_or(false)) return "does more than to wrap and unwrap";
  }
  return "";
}

std::string padding_name(WrapPadding padding) {
  switch (padding) {
    case WrapPadding::rfc5649:
      return "RFC 5649";
    case WrapPadding::rfc5649_after_zeros:
      return "RFC 5649 after zeros to 8 bytes";
    case WrapPadding::pkcs7_to_8:
      return "RFC 3394 after PKCS#7 padding to 8 bytes";
    default:
      return "RFC 3394 after PKCS#7 padding to 16 bytes";
  }
}

Template unwrapping_demands() {
  Template demands;
  demands.set_number(CKA_CLASS, CKO_PRIVATE_KEY)
      .set_bool(CKA_PRIVATE, true)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_WRAP_WITH_TRUSTED, true);
  return demands;
}

WrappingTemplate wrapping_key_template(const KeySpec& spec, const Template& unwrapped) {
  WrappingTemplate made;
  made.unwrapped = std::make_shared<const Template>(unwrapped);
  made.view = std::make_shared<const std::vector<CK_ATTRIBUTE>>(made.unwrapped->view());
  Template& key = made.attributes;
  key.set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, false)
      .set_bool(CKA_TRUSTED, true)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_EXTRACTABLE, false)
      .set_bool(CKA_MODIFIABLE, false)
      .set_bool(CKA_COPYABLE, false)
      .set_bool(CKA_DESTROYABLE, false)
      .set_bool(CKA_WRAP, true)
      .set_bool(CKA_UNWRAP, true);
  for (const CK_ATTRIBUTE_TYPE use : {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_DERIVE})
    key.set_bool(use, false);
  key.set_number(CKA_VALUE_LEN, static_cast<CK_ULONG>(spec.type->bits) / 8)
      .set_text(CKA_LABEL, spec.label)
      .set(CKA_ID, spec.id)
      .set(CKA_UNWRAP_TEMPLATE, {reinterpret_cast<const unsigned char*>(made.view->data()),
                                 made.view->size() * sizeof(CK_ATTRIBUTE)});
  return made;
}

CK_MECHANISM_TYPE wrapping_mechanism(const OpenToken& token) {
  return wrapping_mechanisms(token).front();
}

std::vector<KeyWrap> key_wraps(const OpenToken& token) {
  std::vector<KeyWrap> wraps;
  for (const CK_MECHANISM_TYPE mechanism : wrapping_mechanisms(token)) {
    const auto padding = while_doing(
        fmt::format("see how the token {} pads what it wraps", quoted(token.info.label)),
        [&] { return try_padding(token, mechanism); });
    if (padding) wraps.push_back({mechanism, *padding});
  }
  if (!wraps.empty()) return wraps;
  throw Error(Kind::unsupported,
              fmt::format("wrap keys on the token {}: it pads them in a way that is not known here",
                          quoted(token.info.label)));
}

namespace {

// `make` makes the key; it is found again, and is what it should be.
Key made_wrapping_key(const OpenToken& token, const KeySpec& spec, const char* verb,
                      const std::function<CK_OBJECT_HANDLE()>& make) {
  const std::string doing = fmt::format("{} the wrapping key {} on the token {}", verb,
                                        quoted(spec.label), quoted(token.info.label));
  return made_or_removed(token, spec, doing, [&](Making& making) {
    making.made = {make()};
    Selector selector;
    selector.text = spec.label;
    selector.label = spec.label;
    selector.id = spec.id;
    const Key key = find_one_secret(token, selector);
    const std::string problem = weakness_of(token, key);
    if (!problem.empty()) throw Error(Kind::token_failed, "the new key " + problem);
    return key;
  });
}

}  // namespace

Key generate_wrapping_key(const OpenToken& token, const KeySpec& spec) {
  return made_wrapping_key(token, spec, "generate", [&] {
    return token.session->generate(generation_mechanism(*spec.type),
                                   wrapping_key_template(spec, unwrapping_demands()).attributes);
  });
}

Key import_wrapping_key(const OpenToken& token, const KeySpec& spec, const Secret& value) {
  return made_wrapping_key(token, spec, "put", [&] {
    const WrappingTemplate base = wrapping_key_template(spec, unwrapping_demands());
    PrivateTemplate whole;
    whole.attributes = base.attributes;
    whole.attributes.leave_out(CKA_VALUE_LEN)
        .set_number(CKA_CLASS, CKO_SECRET_KEY)
        .set_number(CKA_KEY_TYPE, CKK_AES)
        .set(CKA_VALUE, value.reveal());
    return token.session->create(whole.attributes);
  });
}

Key find_wrapping_key(const OpenToken& token, const Selector& selector) {
  Key key = find_one_secret(token, selector);
  const std::string problem =
      while_doing("look at " + key.uri, [&] { return weakness_of(token, key); });
  if (problem.empty()) return key;
  throw Error(Kind::refused, fmt::format("wrap with {}: it {}", key.uri, problem))
      .hint(
          "a wrapping key is made with: hsmith key generate NAME --type aes:256 --use wrap "
          "--login-as so");
}

std::string check_value(const Secret& wrapping_key) {
  const cms::KeyWrap bare{NID_undef, EVP_aes_256_wrap, 32};
  return first_of_hash(cms::wrap_key(bare, wrapping_key, Secret::take(Bytes(32, 0))));
}

namespace {

std::string ask_check_value(const OpenToken& token, const Key& wrapping_key) {
  const auto session = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_write);
  std::string value;
  try {
    const CK_OBJECT_HANDLE zeros = session->create(known_key(CKK_GENERIC_SECRET, Bytes(32, 0)));
    const Bytes wrapped = session->wrap({CKM_AES_KEY_WRAP, {}}, wrapping_key.handle, zeros);
    value = first_of_hash(wrapped);
  } catch (const Error& error) {
    if (error.ckr() != "CKR_MECHANISM_INVALID") throw;
  }
  session->close();
  return value;
}

}  // namespace

std::string check_value(const OpenToken& token, const Key& wrapping_key) {
  return while_doing("find out the check value of " + wrapping_key.uri,
                     [&] { return ask_check_value(token, wrapping_key); });
}

}  // namespace hsmith::tokens
