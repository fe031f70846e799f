#include "src/recovery/pfx.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/pkcs12.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx_keys.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"
#include "src/x509/kind.h"
#include "src/x509/public_key.h"

namespace hsmith::recovery {
namespace {

constexpr std::size_t kMostBags = 10'000;
constexpr int kDeepestBag = 8;
constexpr std::string_view kPbmac1 = "PBMAC1";  // RFC 9579, as OpenSSL calls it

void free_safes(STACK_OF(PKCS7) * safes) { sk_PKCS7_pop_free(safes, PKCS7_free); }
void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
  sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
using Pkcs12 = std::unique_ptr<PKCS12, ossl::Deleter<PKCS12_free>>;
using Safes = std::unique_ptr<STACK_OF(PKCS7), ossl::Deleter<free_safes>>;
using Bags = std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), ossl::Deleter<free_bags>>;
using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, ossl::Deleter<PKCS8_PRIV_KEY_INFO_free>>;

// What OpenSSL takes as a password: no bytes and no pointer are different things to PKCS#12. Or
// keys in its place.
struct Password {
  const char* text;
  int size;
  const PfxKeys* keys = nullptr;
};

std::string reading(const std::string& input) { return fmt::format("read {}", input); }

Pkcs12 parse(ByteView content, const std::string& input) {
  if (content.size() > kPfxLimit) {
    throw Error(Kind::malformed, fmt::format("{}: larger than the {} KiB that a PKCS#12 file may "
                                             "have",
                                             reading(input), kPfxLimit >> 10));
  }
  ossl::clear_errors();
  Pkcs12 pfx(PKCS12_init_ex(NID_pkcs7_data, context_with_legacy(), nullptr));
  PKCS12* into = pfx.release();
  const unsigned char* start = content.data();
  pfx.reset(d2i_PKCS12(&into, &start, static_cast<long>(content.size())));
  ossl::clear_errors();
  if (pfx == nullptr) x509::refuse_kind(content, input, "a PKCS#12 file");
  if (start != content.data() + content.size())
    throw Error(Kind::malformed, reading(input) + " as PKCS#12: bytes follow it");
  return pfx;
}

Safes safes_of(const PKCS12* pfx, const std::string& input) {
  ossl::clear_errors();
  return Safes(ossl::check_ptr(PKCS12_unpack_authsafes(pfx), reading(input), Kind::malformed));
}

// Walks over all bags, with what the bags inside of bags hold.
template <typename Take>
void each_bag(const STACK_OF(PKCS12_SAFEBAG) * bags, int depth, std::size_t& count,
              const std::string& input, const Take& take) {
  if (depth > kDeepestBag)
    throw Error(Kind::malformed, reading(input) + ": its contents are nested too deeply");
  for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); ++i) {
    if (++count > kMostBags) {
      throw Error(Kind::malformed,
                  fmt::format("{}: it holds more than {} items", reading(input), kMostBags));
    }
    const PKCS12_SAFEBAG* bag = sk_PKCS12_SAFEBAG_value(bags, i);
    if (PKCS12_SAFEBAG_get_nid(bag) == NID_safeContentsBag) {
      each_bag(PKCS12_SAFEBAG_get0_safes(bag), depth + 1, count, input, take);
    } else {
      take(*bag);
    }
  }
}

const X509_ALGOR* encryption_of(const PKCS12_SAFEBAG& bag) {
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(&bag), &algorithm, nullptr);
  return algorithm;
}

bool is_password_encrypted(const PKCS7* safe) {
  return OBJ_obj2nid(safe->type) == NID_pkcs7_encrypted;
}

const X509_ALGOR* encryption_of(const PKCS7* safe) {
  return safe->d.encrypted->enc_data->algorithm;
}

template <typename Octets>
std::optional<Secret> decrypted(const X509_ALGOR* algorithm, const Octets* octets,
                                const Password& password) {
  return pbes2_decrypt(
      *password.keys, ossl::der_of(i2d_X509_ALGOR, const_cast<X509_ALGOR*>(algorithm)),
      {ASN1_STRING_get0_data(octets), static_cast<std::size_t>(ASN1_STRING_length(octets))});
}

STACK_OF(PKCS12_SAFEBAG) * decrypt_bags(PKCS7* safe, const Password& password) {
  if (password.keys == nullptr) return PKCS12_unpack_p7encdata(safe, password.text, password.size);
  const auto plain =
      decrypted(encryption_of(safe), safe->d.encrypted->enc_data->enc_data, password);
  if (!plain) return nullptr;
  const unsigned char* start = plain->reveal().data();
  return reinterpret_cast<STACK_OF(PKCS12_SAFEBAG)*>(ASN1_item_d2i(
      nullptr, &start, static_cast<long>(plain->size()), ASN1_ITEM_rptr(PKCS12_SAFEBAGS)));
}

PKCS8_PRIV_KEY_INFO* decrypt_key(const PKCS12_SAFEBAG& bag, const Password& password) {
  if (password.keys == nullptr) {
    return PKCS12_decrypt_skey_ex(&bag, password.text, password.size, context_with_legacy(),
                                  nullptr);
  }
  const X509_ALGOR* algorithm = nullptr;
  const ASN1_OCTET_STRING* octets = nullptr;
  X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(&bag), &algorithm, &octets);
  const auto plain = decrypted(algorithm, octets, password);
  if (!plain) return nullptr;
  const unsigned char* start = plain->reveal().data();
  return d2i_PKCS8_PRIV_KEY_INFO(nullptr, &start, static_cast<long>(plain->size()));
}

// The bags of one safe; decrypts it where it is encrypted.
Bags bags_of(PKCS7* safe, const Password& password, const std::string& input) {
  ossl::clear_errors();
  const int type = OBJ_obj2nid(safe->type);
  if (type == NID_pkcs7_data)
    return Bags(ossl::check_ptr(PKCS12_unpack_p7data(safe), reading(input), Kind::malformed));
  if (type != NID_pkcs7_encrypted) {
    throw Error(Kind::unsupported,
                fmt::format("{}: part of it is not encrypted with a password but to a key",
                            reading(input)));
  }
  check_iterations(encryption_of(safe), input);
  Bags bags(decrypt_bags(safe, password));
  ossl::clear_errors();
  if (bags) return bags;
  throw Error(Kind::pin_incorrect,
              fmt::format("decrypt {}: the password does not fit, it is damaged, or OpenSSL does "
                          "not have {}",
                          input, describe_encryption(encryption_of(safe))));
}

std::string name_of(const PKCS12_SAFEBAG& bag) {
  const ossl::OpensslBytes name(
      reinterpret_cast<unsigned char*>(PKCS12_get_friendlyname(const_cast<PKCS12_SAFEBAG*>(&bag))));
  return name ? std::string(reinterpret_cast<const char*>(name.get())) : std::string();
}

// From the context with the legacy algorithms into the one that all else works in.
ossl::Certificate certificate_in(const PKCS12_SAFEBAG& bag, const std::string& input) {
  const ossl::Certificate read(
      ossl::check_ptr(PKCS12_SAFEBAG_get1_cert(&bag), reading(input), Kind::malformed));
  return x509::certificate_from_der(x509::certificate_der(read.get()), input);
}

ossl::PKey key_of(const PKCS8_PRIV_KEY_INFO* info, const std::string& input) {
  return ossl::PKey(ossl::check_ptr(
      EVP_PKCS82PKEY(info), fmt::format("read a private key of {}", input), Kind::malformed));
}

ossl::PKey shrouded_key(const PKCS12_SAFEBAG& bag, const Password& password,
                        const std::string& input) {
  check_iterations(encryption_of(bag), input);
  ossl::clear_errors();
  const Pkcs8 info(decrypt_key(bag, password));
  ossl::clear_errors();
  if (info) return key_of(info.get(), input);
  throw Error(Kind::pin_incorrect,
              fmt::format("decrypt a private key of {}: the password does not fit, it is damaged, "
                          "or OpenSSL does not have {}",
                          input, describe_encryption(encryption_of(bag))));
}

void take_bag(Pfx& pfx, const PKCS12_SAFEBAG& bag, const Password& password,
              const std::string& input) {
  switch (PKCS12_SAFEBAG_get_nid(&bag)) {
    case NID_keyBag:
      pfx.keys.push_back({key_of(PKCS12_SAFEBAG_get0_p8inf(&bag), input), name_of(bag)});
      return;
    case NID_pkcs8ShroudedKeyBag:
      pfx.keys.push_back({shrouded_key(bag, password, input), name_of(bag)});
      return;
    case NID_certBag:
      if (PKCS12_SAFEBAG_get_bag_nid(&bag) == NID_x509Certificate)
        pfx.certificates.push_back({certificate_in(bag, input), name_of(bag)});
      return;
    default:  // CRLs and secrets of other programs
      return;
  }
}

struct Mac {
  std::string digest;
  long iterations = 1;
};

std::optional<Mac> mac_of(const PKCS12* pfx) {
  if (PKCS12_mac_present(pfx) != 1) return std::nullopt;
  const X509_ALGOR* algorithm = nullptr;
  const ASN1_INTEGER* iterations = nullptr;
  PKCS12_get0_mac(nullptr, &algorithm, nullptr, &iterations, pfx);
  return Mac{x509::algorithm_name(algorithm),
             iterations == nullptr ? 1 : ASN1_INTEGER_get(iterations)};
}

void check_mac_work(const PKCS12* pfx, const std::string& input) {
  const auto mac = mac_of(pfx);
  if (!mac) return;
  if (mac->digest == kPbmac1) {
    throw Error(Kind::unsupported,
                reading(input) + ": its MAC is PBMAC1, which OpenSSL 3.0 has not")
        .hint("have it written anew with a MAC of RFC 7292: openssl pkcs12 -export");
  }
  if (mac->iterations >= 1 && mac->iterations <= kMostIterations) return;
  throw Error(Kind::refused, fmt::format("{}: its MAC asks for {} iterations; at most {} are done",
                                         reading(input), mac->iterations, kMostIterations));
}

// The password in the form that the MAC was made with; nothing when none fits.
std::optional<Password> fitting(PKCS12* pfx, const Secret& password) {
  const Password given{reinterpret_cast<const char*>(password.reveal().data()),
                       static_cast<int>(password.size())};
  std::vector<Password> forms{given};
  if (password.empty()) forms = {{"", 0}, {nullptr, 0}};
  if (PKCS12_mac_present(pfx) != 1) return forms.front();
  for (const Password& form : forms) {
    const bool fits = PKCS12_verify_mac(pfx, form.text, form.size) == 1;
    ossl::clear_errors();
    if (fits) return form;
  }
  return std::nullopt;
}

Pfx read_contents(const PKCS12* file, const Password& password, const std::string& input) {
  const Safes safes = safes_of(file, input);
  Pfx pfx;
  std::size_t count = 0;
  for (int i = 0; i < sk_PKCS7_num(safes.get()); ++i) {
    const Bags bags = bags_of(sk_PKCS7_value(safes.get(), i), password, input);
    each_bag(bags.get(), 0, count, input,
             [&](const PKCS12_SAFEBAG& bag) { take_bag(pfx, bag, password, input); });
  }
  return pfx;
}

}  // namespace

PfxProtection pfx_protection(ByteView content, const std::string& input) {
  const Pkcs12 pfx = parse(content, input);
  PfxProtection found;
  if (const auto mac = mac_of(pfx.get()))
    found.mac = fmt::format("{}, {} iterations", lower(mac->digest), mac->iterations);
  const auto add = [&](const X509_ALGOR* algorithm) {
    std::string text = describe_encryption(algorithm);
    const auto& all = found.encryption;
    if (std::find(all.begin(), all.end(), text) == all.end())
      found.encryption.push_back(std::move(text));
  };
  const Safes safes = safes_of(pfx.get(), input);
  std::size_t count = 0;
  for (int i = 0; i < sk_PKCS7_num(safes.get()); ++i) {
    PKCS7* safe = sk_PKCS7_value(safes.get(), i);
    if (is_password_encrypted(safe)) {
      add(encryption_of(safe));
      continue;
    }
    const Bags bags = bags_of(safe, {}, input);
    each_bag(bags.get(), 0, count, input, [&](const PKCS12_SAFEBAG& bag) {
      if (PKCS12_SAFEBAG_get_nid(&bag) == NID_pkcs8ShroudedKeyBag) add(encryption_of(bag));
    });
  }
  return found;
}

bool pfx_opens_without_password(ByteView content, const std::string& input) {
  const Pkcs12 pfx = parse(content, input);
  check_mac_work(pfx.get(), input);
  return PKCS12_mac_present(pfx.get()) == 1 && fitting(pfx.get(), Secret()).has_value();
}

Pfx read_pfx(ByteView content, const std::string& input, const Secret& password) {
  const Pkcs12 file = parse(content, input);
  check_mac_work(file.get(), input);
  const auto form = fitting(file.get(), password);
  if (!form) {
    throw Error(Kind::pin_incorrect,
                fmt::format("open {}: the password does not fit, or the file is damaged", input))
        .hint("name the right one with --password-source");
  }
  return read_contents(file.get(), *form, input);
}

Pfx read_pfx(ByteView content, const std::string& input, const PfxKeys& keys) {
  const Pkcs12 file = parse(content, input);
  if (!has_mac_of(keys, content)) {
    throw Error(Kind::pin_incorrect, fmt::format("open {}: its MAC is not by these keys", input));
  }
  return read_contents(file.get(), {nullptr, 0, &keys}, input);
}

std::vector<const X509*> certificates_of(const Pfx& pfx, EVP_PKEY* key) {
  std::vector<const X509*> found;
  for (const PfxCertificate& entry : pfx.certificates) {
    EVP_PKEY* certified = X509_get0_pubkey(entry.certificate.get());
    if (certified != nullptr && ossl::same_public_key(certified, key))
      found.push_back(entry.certificate.get());
  }
  ossl::clear_errors();
  return found;
}

}  // namespace hsmith::recovery
