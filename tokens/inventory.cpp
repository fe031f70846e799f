#include "tokens/inventory.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <variant>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

constexpr std::size_t kMost = 1'000'000;
constexpr CK_OBJECT_CLASS kUnknown = CK_UNAVAILABLE_INFORMATION;

// Nothing: an object that is neither a key nor a certificate.
using Object = std::variant<std::monostate, Key, TokenCertificate, BrokenObject>;

// The certificates of a token: searched for when the first one is met, since most tokens' objects
// are keys and a search is dear where there are thousands.
class Certificates {
 public:
  bool has(CK_OBJECT_HANDLE handle) {
    const std::lock_guard lock(mutex_);
    return std::binary_search(handles_.begin(), handles_.end(), handle);
  }
  void search(const OpenToken& token) {
    const std::lock_guard lock(mutex_);
    if (!handles_.empty()) return;
    Template wanted;
    wanted.set_number(CKA_CLASS, CKO_CERTIFICATE);
    handles_ = token.session->find(wanted, kMost);
  }

 private:
  std::mutex mutex_;
  std::vector<CK_OBJECT_HANDLE> handles_;  // in order
};

bool is_key(CK_OBJECT_CLASS object_class) {
  return object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY ||
         object_class == CKO_SECRET_KEY;
}

// Sets `object_class` as soon as it is known.
Object read_object(const OpenToken& token, CK_OBJECT_HANDLE handle, Certificates& certificates,
                   std::optional<CK_OBJECT_CLASS>& object_class) {
  if (!certificates.has(handle)) {
    const pkcs11::Attributes is = token.session->get(handle, attributes_of_any_object());
    object_class = is.number(CKA_CLASS);
    if (!object_class) throw Error(Kind::token_failed, "it does not say what it is");
    if (is_key(*object_class)) return key_of(token, handle, *object_class, is);
    if (object_class != CKO_CERTIFICATE) return std::monostate{};
    certificates.search(token);
  }
  object_class = CKO_CERTIFICATE;
  return read_certificate(token, handle);
}

// A failure that passes must not make an object look broken: what a command does with the others
// would be half of its work.
Object read_or_broken(const OpenToken& token, CK_OBJECT_HANDLE handle, Certificates& certificates) {
  std::optional<CK_OBJECT_CLASS> object_class;
  for (int attempt = 1;; ++attempt) {
    try {
      return read_object(token, handle, certificates, object_class);
    } catch (const Error& error) {
      if (error.kind() == Kind::token_removed) throw;
      if (attempt == 2) return BrokenObject{handle, object_class.value_or(kUnknown), error.what()};
    }
  }
}

// Reads all objects, in this thread and session, and in `sessions` - 1 more of each.
class Reading {
 public:
  Reading(const OpenToken& token, std::vector<CK_OBJECT_HANDLE> handles)
      : token_(token), handles_(std::move(handles)), objects_(handles_.size()) {}

  std::vector<Object> read(unsigned sessions) {
    const std::size_t useful = std::min<std::size_t>(sessions, handles_.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < useful; ++i)
      threads.emplace_back([this] { read_in_own_session(); });
    read_with(token_);
    for (std::thread& thread : threads) thread.join();
    if (failed_) std::rethrow_exception(failed_);
    return std::move(objects_);
  }

 private:
  void read_with(const OpenToken& token) {
    try {
      for (std::size_t i = next_++; i < handles_.size(); i = next_++)
        objects_[i] = read_or_broken(token, handles_[i], certificates_);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failed_ = std::current_exception();
      next_ = handles_.size();
    }
  }

  // A token that has no more sessions to give is read with those that it gave.
  void read_in_own_session() {
    OpenToken own = token_;
    try {
      own.session = pkcs11::Session::open(token_.module, token_.slot, pkcs11::Access::read_only);
    } catch (const Error&) {
      return;
    }
    read_with(own);
  }

  const OpenToken& token_;
  std::vector<CK_OBJECT_HANDLE> handles_;
  std::vector<Object> objects_;
  Certificates certificates_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failed_;  // under the mutex
};

std::vector<Key>& keys_of(Inventory& all, CK_OBJECT_CLASS object_class) {
  if (object_class == CKO_PRIVATE_KEY) return all.private_keys;
  return object_class == CKO_PUBLIC_KEY ? all.public_keys : all.secret_keys;
}

}  // namespace

Inventory take_inventory(const OpenToken& token) { return take_inventory(token, 1); }

Inventory take_inventory(const OpenToken& token, unsigned sessions) {
  const std::string doing = fmt::format("read what is on the token {}", quoted(token.info.label));
  std::vector<Object> objects = while_doing(
      doing, [&] { return Reading(token, token.session->find({}, kMost)).read(sessions); });
  Inventory all;
  for (Object& object : objects) {
    if (auto* key = std::get_if<Key>(&object))
      keys_of(all, key->object_class).push_back(std::move(*key));
    if (auto* certificate = std::get_if<TokenCertificate>(&object))
      all.certificates.push_back(std::move(*certificate));
    if (auto* broken = std::get_if<BrokenObject>(&object)) all.broken.push_back(std::move(*broken));
  }
  // Where the token itself fails, no object is to blame.
  if (!all.broken.empty()) while_doing(doing, [&] { return token.session->find({}, 1); });
  return all;
}

}  // namespace hsmith::tokens
