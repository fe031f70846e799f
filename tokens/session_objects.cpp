#include "tokens/session_objects.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

constexpr std::size_t kMost = 1'000'000;

// What is among the objects `after` and was not `before`; both in order.
std::vector<CK_OBJECT_HANDLE> difference(const std::vector<CK_OBJECT_HANDLE>& after,
                                         const std::vector<CK_OBJECT_HANDLE>& before) {
  std::vector<CK_OBJECT_HANDLE> more;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(more));
  return more;
}

std::optional<bool> is_token_object(const OpenToken& token, CK_OBJECT_HANDLE handle) {
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 1> kToken{CKA_TOKEN};
  return token.session->get(handle, kToken).flag(CKA_TOKEN);
}

}  // namespace

SessionObjects::SessionObjects(const OpenToken& token)
    : token_(token), before_(token.session->find({}, kMost)) {}

SessionObjects::~SessionObjects() { destroy_all(); }

CK_OBJECT_HANDLE SessionObjects::keep(CK_OBJECT_HANDLE handle) {
  made_.push_back(handle);
  check(handle);
  return handle;
}

// Both are known before either is looked at: a token that keeps one keeps the other too.
pkcs11::KeyPair SessionObjects::keep(pkcs11::KeyPair pair) {
  made_.insert(made_.end(), {pair.public_key, pair.private_key});
  check(pair.public_key);
  check(pair.private_key);
  return pair;
}

void SessionObjects::check(CK_OBJECT_HANDLE handle) {
  if (is_token_object(token_, handle) != true) return;
  destroy_all();
  throw Error(Kind::unsupported, "the token makes lasting objects where session objects are asked");
}

void SessionObjects::destroy_all() noexcept {
  std::erase_if(made_, [&](CK_OBJECT_HANDLE handle) {
    try {
      token_.session->destroy(handle);
      return true;
    } catch (const std::exception&) {  // it is tried again, and what is still there is counted
      return false;
    }
  });
}

void SessionObjects::finish() {
  destroy_all();
  destroy_all();
  std::vector<CK_OBJECT_HANDLE> after = token_.session->find({}, kMost);
  // An object that was made by a call which failed all the same.
  for (const CK_OBJECT_HANDLE handle : difference(after, before_)) {
    if (is_token_object(token_, handle) == false) token_.session->destroy(handle);
  }
  if (after != before_) after = token_.session->find({}, kMost);
  if (after == before_) return;
  const std::vector<CK_OBJECT_HANDLE> more = difference(after, before_);
  throw Error(Kind::token_failed,
              fmt::format("the token {} has {} objects where it had {}, {} of them new",
                          quoted(token_.info.label), after.size(), before_.size(), more.size()))
      .hint("was another program at work? look with: hsmith key list")
      .unfinished();
}

OpenToken with_new_session(const OpenToken& token) {
  OpenToken other = token;
  const auto opened = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_write);
  other.session = {opened.get(), [opened](pkcs11::Session* session) {
                     try {
                       session->close();
                     } catch (const std::exception&) {  // C_Finalize closes it too
                     }
                   }};
  return other;
}

}  // namespace hsmith::tokens
