// Writing PKCS#12.
#include <algorithm>
#include <map>
#include <openssl/pkcs12.h>

#include "src/base/error.h"
#include "src/cms/ber.h"
#include "src/cms/der.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx.h"
#include "src/recovery/pfx_keys.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

void free_safes(STACK_OF(PKCS7) * safes) { sk_PKCS7_pop_free(safes, PKCS7_free); }
void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
  sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
using Pkcs12 = std::unique_ptr<PKCS12, ossl::Deleter<PKCS12_free>>;

// What Windows before 10 reads: 3DES and SHA-1 throughout. Old programs refuse nothing up to these
// iterations.
constexpr int kOldEncryption = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
constexpr int kOldIterations = 100'000;

// A stack that owns its elements, filled by OpenSSL functions that make it when it is null.
template <typename Stack, auto Free>
struct Owned {
  Stack* stack = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Free(stack); }
};

// Local key ids: of each key, and of the certificates that go with it.
struct LocalIds {
  std::vector<Bytes> keys;
  std::map<const X509*, Bytes> certificates;
};

// SHA-1 of the first certificate, as Windows and OpenSSL have it; of the public key where there is
// none.
LocalIds local_ids(const Pfx& pfx) {
  LocalIds ids;
  for (const PfxKey& entry : pfx.keys) {
    const auto its = certificates_of(pfx, entry.key.get());
    ids.keys.push_back(its.empty()
                           ? ossl::key_identifier(entry.key.get())
                           : ossl::digest(ossl::digest_named("sha1"),
                                          x509::certificate_der(const_cast<X509*>(its.front()))));
    for (const X509* certificate : its) ids.certificates.emplace(certificate, ids.keys.back());
  }
  return ids;
}

void give_names(PKCS12_SAFEBAG* bag, const std::string& name, const Bytes& id) {
  ossl::check(bag != nullptr, "write PKCS#12");
  if (!name.empty()) {
    ossl::check(PKCS12_add_friendlyname_utf8(bag, name.data(), static_cast<int>(name.size())) == 1,
                "write a name into PKCS#12");
  }
  if (!id.empty()) {
    ossl::check(PKCS12_add_localkeyid(bag, const_cast<unsigned char*>(id.data()),
                                      static_cast<int>(id.size())) == 1,
                "write a key id into PKCS#12");
  }
}

using BagStack = Owned<STACK_OF(PKCS12_SAFEBAG), free_bags>;

// Key bags, encrypted by `shroud`, which puts one on the stack.
template <typename Shroud>
void add_key_bags(BagStack& bags, const Pfx& pfx, const LocalIds& ids, const Shroud& shroud) {
  for (std::size_t i = 0; i < pfx.keys.size(); ++i)
    give_names(shroud(bags, pfx.keys[i].key.get()), pfx.keys[i].name, ids.keys[i]);
}

void add_certificate_bags(BagStack& bags, const Pfx& pfx, const LocalIds& ids) {
  for (const PfxCertificate& entry : pfx.certificates) {
    const auto id = ids.certificates.find(entry.certificate.get());
    give_names(PKCS12_add_cert(&bags.stack, entry.certificate.get()), entry.name,
               id == ids.certificates.end() ? Bytes{} : id->second);
  }
}

// In the style of old Windows.
Bytes write_old(const Pfx& pfx, const Secret& password) {
  // A terminated copy: OpenSSL's functions for writing take no length.
  Bytes text(password.size() + 1, 0);
  std::copy(password.reveal().begin(), password.reveal().end(), text.begin());
  const Secret terminated = Secret::take(std::move(text));
  const auto* pass = reinterpret_cast<const char*>(terminated.reveal().data());
  const LocalIds ids = local_ids(pfx);
  BagStack certificates, keys;
  add_certificate_bags(certificates, pfx, ids);
  add_key_bags(keys, pfx, ids, [&](BagStack& bags, EVP_PKEY* key) {
    return PKCS12_add_key_ex(&bags.stack, key, 0, kOldIterations, kOldEncryption, pass, nullptr,
                             nullptr);
  });
  Owned<STACK_OF(PKCS7), free_safes> safes;
  const bool added =
      (certificates.stack == nullptr ||
       PKCS12_add_safe_ex(&safes.stack, certificates.stack, kOldEncryption, kOldIterations, pass,
                          nullptr, nullptr) == 1) &&
      (keys.stack == nullptr || PKCS12_add_safe(&safes.stack, keys.stack, -1, 0, nullptr) == 1);
  const Pkcs12 file(added ? PKCS12_add_safes(safes.stack, 0) : nullptr);
  ossl::check(
      file && PKCS12_set_mac(file.get(), pass, -1, nullptr, 0, kOldIterations, EVP_sha1()) == 1,
      "write PKCS#12");
  return ossl::der_of(i2d_PKCS12, file.get());
}

Bytes safe_contents(const BagStack& bags) {
  unsigned char* out = nullptr;
  const int size = ASN1_item_i2d(reinterpret_cast<const ASN1_VALUE*>(bags.stack), &out,
                                 ASN1_ITEM_rptr(PKCS12_SAFEBAGS));
  const ossl::OpensslBytes owned(out);
  ossl::check(size >= 0, "write PKCS#12");
  return Bytes(out, out + size);
}

PKCS12_SAFEBAG* shrouded(BagStack& bags, EVP_PKEY* key, const PfxKeys& keys) {
  const Pbes2 made = pbes2_encrypt(keys, private_key_der(key).reveal());
  const Bytes info =
      cms::der(cms::kSequence, {made.algorithm, cms::der(cms::kOctetString, {made.encrypted})});
  const unsigned char* start = info.data();
  X509_SIG* encrypted = d2i_X509_SIG(nullptr, &start, static_cast<long>(info.size()));
  PKCS12_SAFEBAG* bag = encrypted == nullptr ? nullptr : PKCS12_SAFEBAG_create0_pkcs8(encrypted);
  if (bags.stack == nullptr) bags.stack = sk_PKCS12_SAFEBAG_new_null();
  ossl::check(bag != nullptr && sk_PKCS12_SAFEBAG_push(bags.stack, bag) > 0, "write PKCS#12");
  return bag;
}

// RFC 7292, 4.1 and 5.1: certificates in an EncryptedData, keys each encrypted in data.
Bytes write_modern(const Pfx& pfx, const PfxKeys& keys) {
  constexpr unsigned char kContext0 = cms::context_tag(0) | cms::kConstructed;
  constexpr unsigned char kZero[]{0};
  Bytes safes;
  const auto add = [&](int type, const Bytes& content) {
    const Bytes info =
        cms::der(cms::kSequence, {cms::der_oid(type), cms::der(kContext0, {content})});
    safes.insert(safes.end(), info.begin(), info.end());
  };
  const LocalIds ids = local_ids(pfx);
  BagStack certificates, shrouds;
  add_certificate_bags(certificates, pfx, ids);
  add_key_bags(shrouds, pfx, ids,
               [&](BagStack& bags, EVP_PKEY* key) { return shrouded(bags, key, keys); });
  if (certificates.stack != nullptr) {
    const Pbes2 made = pbes2_encrypt(keys, safe_contents(certificates));
    const Bytes content =
        cms::der(cms::kSequence, {cms::der_oid(NID_pkcs7_data), made.algorithm,
                                  cms::der(cms::context_tag(0), {made.encrypted})});
    add(NID_pkcs7_encrypted,
        cms::der(cms::kSequence, {cms::der(cms::kInteger, {ByteView(kZero)}), content}));
  }
  if (shrouds.stack != nullptr)
    add(NID_pkcs7_data, cms::der(cms::kOctetString, {safe_contents(shrouds)}));
  return pfx_around(keys, cms::der(cms::kSequence, {safes}));
}

bool same_private_key(const EVP_PKEY* a, const EVP_PKEY* b) {
  return equal(private_key_der(a).reveal(), private_key_der(b).reveal());
}

// The bytes opened again must hold what went in.
void check_same(const Pfx& found, const Pfx& pfx) {
  bool same =
      found.keys.size() == pfx.keys.size() && found.certificates.size() == pfx.certificates.size();
  for (std::size_t i = 0; same && i < pfx.keys.size(); ++i)
    same = same_private_key(found.keys[i].key.get(), pfx.keys[i].key.get()) &&
           found.keys[i].name == pfx.keys[i].name;
  for (std::size_t i = 0; same && i < pfx.certificates.size(); ++i) {
    same = x509::same_certificate(found.certificates[i].certificate.get(),
                                  pfx.certificates[i].certificate.get());
  }
  if (!same) throw Error(Kind::internal, "write PKCS#12: what comes back is not what was written");
}

}  // namespace

PfxWriter::PfxWriter(const Secret& password, PfxStyle style) : password_(password.reveal()) {
  if (style == PfxStyle::modern) keys_ = std::make_unique<PfxKeys>(derive_pfx_keys(password));
}

PfxWriter::~PfxWriter() = default;

Bytes PfxWriter::write(const Pfx& pfx) {
  ossl::clear_errors();
  Bytes written = keys_ ? write_modern(pfx, *keys_) : write_old(pfx, password_);
  const std::string name = "the PKCS#12 just written";
  // That the keys are the password's is proved once, by who knows nothing of them.
  const bool by_password = !keys_ || !proved_;
  check_same(by_password ? read_pfx(written, name, password_) : read_pfx(written, name, *keys_),
             pfx);
  proved_ = true;
  return written;
}

Bytes write_pfx(const Pfx& pfx, const Secret& password, PfxStyle style) {
  return PfxWriter(password, style).write(pfx);
}

}  // namespace hsmith::recovery
