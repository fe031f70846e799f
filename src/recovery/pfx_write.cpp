// Writing PKCS#12.
#include <algorithm>
#include <openssl/pkcs12.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

void free_safes(STACK_OF(PKCS7) * safes) { sk_PKCS7_pop_free(safes, PKCS7_free); }
void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
  sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
using Pkcs12 = std::unique_ptr<PKCS12, ossl::Deleter<PKCS12_free>>;

struct Algorithms {
  int encryption;
  int iterations;
  const EVP_MD* (*mac)();
  int mac_iterations;
};

// The counts cost whoever guesses passwords a tenth of a second each; they are alike because the
// MAC is what a guess is tried on. Old Windows programs refuse nothing up to these.
Algorithms algorithms_of(PfxStyle style) {
  if (style == PfxStyle::modern) return {NID_aes_256_cbc, 200'000, EVP_sha256, 200'000};
  return {NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 100'000, EVP_sha1, 100'000};
}

// A stack that owns its elements, filled by OpenSSL functions that make it when it is null.
template <typename Stack, auto Free>
struct Owned {
  Stack* stack = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Free(stack); }
};

// SHA-1 of the certificate, as Windows and OpenSSL have it; of the public key where there is none.
Bytes local_key_id(const Pfx& pfx, EVP_PKEY* key) {
  const auto certificates = certificates_of(pfx, key);
  if (certificates.empty()) return ossl::key_identifier(key);
  return ossl::digest(ossl::digest_named("sha1"),
                      x509::certificate_der(const_cast<X509*>(certificates.front())));
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

void add_keys(STACK_OF(PKCS7) * *safes, const Pfx& pfx, const char* password,
              const Algorithms& algorithms) {
  if (pfx.keys.empty()) return;
  Owned<STACK_OF(PKCS12_SAFEBAG), free_bags> bags;
  for (const PfxKey& entry : pfx.keys) {
    PKCS12_SAFEBAG* bag = PKCS12_add_key_ex(&bags.stack, entry.key.get(), 0, algorithms.iterations,
                                            algorithms.encryption, password, nullptr, nullptr);
    give_names(bag, entry.name, local_key_id(pfx, entry.key.get()));
  }
  ossl::check(PKCS12_add_safe(safes, bags.stack, -1, 0, nullptr) == 1, "write PKCS#12");
}

void add_certificates(STACK_OF(PKCS7) * *safes, const Pfx& pfx, const char* password,
                      const Algorithms& algorithms) {
  if (pfx.certificates.empty()) return;
  Owned<STACK_OF(PKCS12_SAFEBAG), free_bags> bags;
  for (const PfxCertificate& entry : pfx.certificates) {
    const auto owner = std::find_if(pfx.keys.begin(), pfx.keys.end(), [&](const PfxKey& key) {
      const auto its = certificates_of(pfx, key.key.get());
      return !its.empty() && its.front() == entry.certificate.get();
    });
    PKCS12_SAFEBAG* bag = PKCS12_add_cert(&bags.stack, entry.certificate.get());
    give_names(bag, entry.name,
               owner == pfx.keys.end() ? Bytes{} : local_key_id(pfx, owner->key.get()));
  }
  ossl::check(PKCS12_add_safe_ex(safes, bags.stack, algorithms.encryption, algorithms.iterations,
                                 password, nullptr, nullptr) == 1,
              "write PKCS#12");
}

bool same_private_key(const EVP_PKEY* a, const EVP_PKEY* b) {
  return equal(private_key_der(a).reveal(), private_key_der(b).reveal());
}

// The bytes opened again must hold what went in.
void read_back(const Bytes& written, const Pfx& pfx, const Secret& password) {
  const Pfx found = read_pfx(written, "the PKCS#12 just written", password);
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

Bytes write_pfx(const Pfx& pfx, const Secret& password, PfxStyle style) {
  const Algorithms algorithms = algorithms_of(style);
  // A terminated copy: OpenSSL's functions for writing take no length.
  Bytes text(password.size() + 1, 0);
  std::copy(password.reveal().begin(), password.reveal().end(), text.begin());
  const Secret terminated = Secret::take(std::move(text));
  const auto* pass = reinterpret_cast<const char*>(terminated.reveal().data());
  ossl::clear_errors();
  Owned<STACK_OF(PKCS7), free_safes> safes;
  add_certificates(&safes.stack, pfx, pass, algorithms);
  add_keys(&safes.stack, pfx, pass, algorithms);
  const Pkcs12 file(PKCS12_add_safes(safes.stack, 0));
  ossl::check(file && PKCS12_set_mac(file.get(), pass, -1, nullptr, 0, algorithms.mac_iterations,
                                     algorithms.mac()) == 1,
              "write PKCS#12");
  Bytes written = ossl::der_of(i2d_PKCS12, file.get());
  read_back(written, pfx, password);
  return written;
}

}  // namespace hsmith::recovery
