// Objects of an experiment on a token, of which nothing may remain.
#pragma once

#include <vector>

#include "tokens/token.h"

namespace hsmith::tokens {

// Session objects, destroyed at the end in the order in which they came. Counts what the token has
// at the start and at the end.
class SessionObjects {
 public:
  explicit SessionObjects(const OpenToken& token);
  ~SessionObjects();
  SessionObjects(const SessionObjects&) = delete;
  SessionObjects& operator=(const SessionObjects&) = delete;

  // The same handle; the object goes when this does. What turns out to be a token object, though a
  // session object was asked for, is destroyed at once: throws unsupported.
  CK_OBJECT_HANDLE keep(CK_OBJECT_HANDLE handle);
  pkcs11::KeyPair keep(pkcs11::KeyPair pair);
  // Destroys all now and looks that the token has what it had. Throws token_failed with the number
  // of objects that came or went.
  void finish();

  std::size_t count_before() const { return before_.size(); }

 private:
  void check(CK_OBJECT_HANDLE handle);
  void destroy_all() noexcept;

  const OpenToken& token_;
  std::vector<CK_OBJECT_HANDLE> before_;
  std::vector<CK_OBJECT_HANDLE> made_;
};

// The same token with a session of its own, which is closed, and its objects gone, when nobody has
// it any more.
OpenToken with_new_session(const OpenToken& token);

}  // namespace hsmith::tokens
