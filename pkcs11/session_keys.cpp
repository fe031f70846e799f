// Keys that a token makes: generated, copied, wrapped, unwrapped, derived.
#include <fmt/format.h>

#include "pkcs11/answer.h"
#include "pkcs11/error.h"
#include "pkcs11/names.h"
#include "pkcs11/session.h"

namespace hsmith::pkcs11 {

KeyPair Session::generate_pair(const Mechanism& mechanism, const Template& public_key,
                               const Template& private_key) const {
  CK_MECHANISM view = mechanism.view();
  std::vector<CK_ATTRIBUTE> public_view = public_key.view();
  std::vector<CK_ATTRIBUTE> private_view = private_key.view();
  KeyPair pair;
  check_with(module_->call(
                 "C_GenerateKeyPair",
                 [&] {
                   return module_->functions().C_GenerateKeyPair(
                       handle_, &view, public_view.data(), public_view.size(), private_view.data(),
                       private_view.size(), &pair.public_key, &pair.private_key);
                 },
                 [&] {
                   return fmt::format("{}, public {}, private {}", mechanism_name(mechanism.type),
                                      public_key.describe(), private_key.describe());
                 }),
             "C_GenerateKeyPair", mechanism);
  return pair;
}

CK_OBJECT_HANDLE Session::generate(const Mechanism& mechanism, const Template& key) const {
  CK_MECHANISM view = mechanism.view();
  std::vector<CK_ATTRIBUTE> attributes = key.view();
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  check_with(
      module_->call(
          "C_GenerateKey",
          [&] {
            return module_->functions().C_GenerateKey(handle_, &view, attributes.data(),
                                                      attributes.size(), &object);
          },
          [&] { return fmt::format("{}, {}", mechanism_name(mechanism.type), key.describe()); }),
      "C_GenerateKey", mechanism);
  return object;
}

CK_OBJECT_HANDLE Session::copy(CK_OBJECT_HANDLE object, const Template& changes) const {
  std::vector<CK_ATTRIBUTE> view = changes.view();
  CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
  check(module_->call(
            "C_CopyObject",
            [&] {
              return module_->functions().C_CopyObject(handle_, object, view.data(), view.size(),
                                                       &made);
            },
            [&] { return fmt::format("object {}, {}", object, changes.describe()); }),
        "C_CopyObject");
  return made;
}

Bytes Session::wrap(const Mechanism& mechanism, CK_OBJECT_HANDLE wrapping_key,
                    CK_OBJECT_HANDLE key) const {
  CK_MECHANISM view = mechanism.view();
  return answer_of("C_WrapKey", [&](unsigned char* out, CK_ULONG* size) {
    return module_->call(
        "C_WrapKey",
        [&] {
          return module_->functions().C_WrapKey(handle_, &view, wrapping_key, key, out, size);
        },
        [&] {
          return fmt::format("{}, wrapping key {}, key {}, wrapped [{}]",
                             mechanism_name(view.mechanism), wrapping_key, key, *size);
        });
  });
}

CK_OBJECT_HANDLE Session::unwrap(const Mechanism& mechanism, CK_OBJECT_HANDLE key, ByteView wrapped,
                                 const Template& unwrapped) const {
  CK_MECHANISM view = mechanism.view();
  std::vector<CK_ATTRIBUTE> attributes = unwrapped.view();
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  check_with(module_->call(
                 "C_UnwrapKey",
                 [&] {
                   return module_->functions().C_UnwrapKey(handle_, &view, key, writable(wrapped),
                                                           wrapped.size(), attributes.data(),
                                                           attributes.size(), &object);
                 },
                 [&] {
                   return fmt::format("{}, key {}, wrapped [{}]", mechanism_name(view.mechanism),
                                      key, wrapped.size());
                 }),
             "C_UnwrapKey", mechanism);
  return object;
}

CK_OBJECT_HANDLE Session::derive(const Mechanism& mechanism, CK_OBJECT_HANDLE key,
                                 const Template& derived) const {
  CK_MECHANISM view = mechanism.view();
  std::vector<CK_ATTRIBUTE> attributes = derived.view();
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  check_with(module_->call(
                 "C_DeriveKey",
                 [&] {
                   return module_->functions().C_DeriveKey(handle_, &view, key, attributes.data(),
                                                           attributes.size(), &object);
                 },
                 [&] { return fmt::format("{}, key {}", mechanism_name(view.mechanism), key); }),
             "C_DeriveKey", mechanism);
  return object;
}

}  // namespace hsmith::pkcs11
