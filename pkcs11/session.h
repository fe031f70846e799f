// One open session, and the operations that hsmith makes in it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "pkcs11/mechanism.h"
#include "pkcs11/module.h"
#include "pkcs11/template.h"
#include "src/base/secret.h"

namespace hsmith::pkcs11 {

// The largest answer that is taken from a token; more is a lie or a fault.
inline constexpr CK_ULONG kLargestAnswer = 16u << 20;

enum class Access { read_only, read_write };

struct KeyPair {
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
};

// One session, used by one thread; for signatures alone, by several that take turns. It ends with
// its module: C_Finalize closes sessions and logs out. Lengths and counts that the module answers
// with are never trusted.
class Session {
 public:
  static std::shared_ptr<Session> open(std::shared_ptr<Module> module, CK_SLOT_ID slot,
                                       Access access);
  void close();

  // An empty PIN means the token's own keypad (CKF_PROTECTED_AUTHENTICATION_PATH): C_Login is then
  // called without one. The code is returned: the caller decides what may be tried again.
  CK_RV login(CK_USER_TYPE user, ByteView pin) const;
  void logout() const;
  void init_pin(ByteView pin) const;
  void set_pin(ByteView old_pin, ByteView new_pin) const;

  // Handles of the objects that match, at most `limit`, each once.
  std::vector<CK_OBJECT_HANDLE> find(const Template& wanted, std::size_t limit) const;
  // The asked attributes of one object, in one call where the buffers suffice.
  Attributes get(CK_OBJECT_HANDLE object, std::span<const CK_ATTRIBUTE_TYPE> types) const;
  // One value that may be secret, never kept anywhere else. Throws the token's refusal
  // (CKR_ATTRIBUTE_SENSITIVE); empty where the token says yes and gives nothing.
  Secret read_secret(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const;
  void set(CK_OBJECT_HANDLE object, const Template& attributes) const;
  CK_OBJECT_HANDLE create(const Template& attributes) const;
  void destroy(CK_OBJECT_HANDLE object) const;

  KeyPair generate_pair(const Mechanism& mechanism, const Template& public_key,
                        const Template& private_key) const;
  CK_OBJECT_HANDLE generate(const Mechanism& mechanism, const Template& key) const;
  // C_CopyObject: the new object is as the old one but for `changes`.
  CK_OBJECT_HANDLE copy(CK_OBJECT_HANDLE object, const Template& changes) const;
  // `authenticate` is called between C_SignInit and C_Sign for keys that want their own login
  // before each operation (CKA_ALWAYS_AUTHENTICATE); empty for all others. One caller waits for the
  // other.
  Bytes sign(const Mechanism& mechanism, CK_OBJECT_HANDLE key, ByteView data,
             const std::function<void()>& authenticate) const;
  // Decryption in two steps: what the first says is about key and mechanism, never about a
  // ciphertext.
  void begin_decrypt(const Mechanism& mechanism, CK_OBJECT_HANDLE key) const;
  Secret decrypt(ByteView ciphertext, const std::function<void()>& authenticate) const;
  Bytes wrap(const Mechanism& mechanism, CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key) const;
  CK_OBJECT_HANDLE unwrap(const Mechanism& mechanism, CK_OBJECT_HANDLE key, ByteView wrapped,
                          const Template& unwrapped) const;
  CK_OBJECT_HANDLE derive(const Mechanism& mechanism, CK_OBJECT_HANDLE key,
                          const Template& derived) const;

  const Module& module() const { return *module_; }

 private:
  Session(std::shared_ptr<Module> module, CK_SESSION_HANDLE handle)
      : module_(std::move(module)), handle_(handle) {}
  std::vector<CK_OBJECT_HANDLE> found_handles(std::size_t limit) const;

  std::shared_ptr<Module> module_;
  CK_SESSION_HANDLE handle_;
  mutable std::mutex signing_;
};

}  // namespace hsmith::pkcs11
