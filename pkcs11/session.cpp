#include "pkcs11/session.h"

#include <algorithm>
#include <fmt/format.h>

#include "pkcs11/answer.h"
#include "pkcs11/error.h"
#include "pkcs11/names.h"

namespace hsmith::pkcs11 {
namespace {

constexpr CK_ULONG kBatch = 1024;
constexpr std::size_t kMostObjects = 1'000'000;

}  // namespace

std::shared_ptr<Session> Session::open(std::shared_ptr<Module> module, CK_SLOT_ID slot,
                                       Access access) {
  const CK_FLAGS flags =
      CKF_SERIAL_SESSION | (access == Access::read_write ? CKF_RW_SESSION : CK_FLAGS{0});
  CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
  check(
      module->call(
          "C_OpenSession",
          [&] { return module->functions().C_OpenSession(slot, flags, nullptr, nullptr, &handle); },
          [&] {
            return fmt::format("slot {}, {}", slot,
                               access == Access::read_write ? "read-write" : "read-only");
          }),
      "C_OpenSession");
  return std::shared_ptr<Session>(new Session(std::move(module), handle));
}

void Session::close() {
  check(module_->call(
            "C_CloseSession", [&] { return module_->functions().C_CloseSession(handle_); },
            [&] { return fmt::format("session {}", handle_); }),
        "C_CloseSession");
}

CK_RV Session::login(CK_USER_TYPE user, ByteView pin) const {
  return module_->call(
      "C_Login",
      [&] {
        return module_->functions().C_Login(handle_, user, pin.empty() ? nullptr : writable(pin),
                                            pin.size());
      },
      [&] { return user_name(user) + (pin.empty() ? ", keypad" : ", PIN ***"); });
}

void Session::logout() const {
  check(module_->call(
            "C_Logout", [&] { return module_->functions().C_Logout(handle_); },
            [&] { return fmt::format("session {}", handle_); }),
        "C_Logout");
}

void Session::init_pin(ByteView pin) const {
  check(module_->call(
            "C_InitPIN",
            [&] {
              return module_->functions().C_InitPIN(handle_, pin.empty() ? nullptr : writable(pin),
                                                    pin.size());
            },
            [] { return std::string("PIN ***"); }),
        "C_InitPIN");
}

void Session::set_pin(ByteView old_pin, ByteView new_pin) const {
  check(module_->call(
            "C_SetPIN",
            [&] {
              return module_->functions().C_SetPIN(handle_, writable(old_pin), old_pin.size(),
                                                   writable(new_pin), new_pin.size());
            },
            [] { return std::string("PIN ***, PIN ***"); }),
        "C_SetPIN");
}

std::vector<CK_OBJECT_HANDLE> Session::find(const Template& wanted, std::size_t limit) const {
  std::vector<CK_ATTRIBUTE> attributes = wanted.view();
  const auto begin_search = [&] {
    return module_->call(
        "C_FindObjectsInit",
        [&] {
          return module_->functions().C_FindObjectsInit(handle_, attributes.data(),
                                                        attributes.size());
        },
        [&] { return wanted.describe(); });
  };
  const auto end_search = [&] {
    return module_->call(
        "C_FindObjectsFinal", [&] { return module_->functions().C_FindObjectsFinal(handle_); },
        [] { return std::string(); });
  };
  CK_RV begun = begin_search();
  if (begun == CKR_OPERATION_ACTIVE) {  // the end of an earlier search failed
    end_search();
    begun = begin_search();
  }
  check(begun, "C_FindObjectsInit");
  std::vector<CK_OBJECT_HANDLE> found;
  try {
    found = found_handles(limit);
  } catch (...) {
    end_search();  // or the session stays busy
    throw;
  }
  check(end_search(), "C_FindObjectsFinal");
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// A batch that is not full is the last one.
std::vector<CK_OBJECT_HANDLE> Session::found_handles(std::size_t limit) const {
  std::vector<CK_OBJECT_HANDLE> found;
  std::vector<CK_OBJECT_HANDLE> batch(std::min<std::size_t>(kBatch, limit));
  for (;;) {
    CK_ULONG count = 0;
    check(module_->call(
              "C_FindObjects",
              [&] {
                return module_->functions().C_FindObjects(handle_, batch.data(), batch.size(),
                                                          &count);
              },
              [&] { return fmt::format("at most {}, got {}", batch.size(), count); }),
          "C_FindObjects");
    if (count > batch.size() || found.size() > kMostObjects) {
      throw Error(Kind::token_failed, "the token's list of objects does not come to an end");
    }
    found.insert(found.end(), batch.begin(), batch.begin() + static_cast<ptrdiff_t>(count));
    if (count < batch.size() || found.size() >= limit) return found;
  }
}

void Session::set(CK_OBJECT_HANDLE object, const Template& attributes) const {
  std::vector<CK_ATTRIBUTE> view = attributes.view();
  check(module_->call(
            "C_SetAttributeValue",
            [&] {
              return module_->functions().C_SetAttributeValue(handle_, object, view.data(),
                                                              view.size());
            },
            [&] { return fmt::format("object {}, {}", object, attributes.describe()); }),
        "C_SetAttributeValue");
}

CK_OBJECT_HANDLE Session::create(const Template& attributes) const {
  std::vector<CK_ATTRIBUTE> view = attributes.view();
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  check(module_->call(
            "C_CreateObject",
            [&] {
              return module_->functions().C_CreateObject(handle_, view.data(), view.size(),
                                                         &object);
            },
            [&] { return attributes.describe(); }),
        "C_CreateObject");
  return object;
}

void Session::destroy(CK_OBJECT_HANDLE object) const {
  check(
      module_->call(
          "C_DestroyObject", [&] { return module_->functions().C_DestroyObject(handle_, object); },
          [&] { return fmt::format("object {}", object); }),
      "C_DestroyObject");
}

Bytes Session::sign(const Mechanism& mechanism, CK_OBJECT_HANDLE key, ByteView data,
                    const std::function<void()>& authenticate) const {
  const std::lock_guard turn(signing_);
  CK_MECHANISM view = mechanism.view();
  check_with(module_->call(
                 "C_SignInit", [&] { return module_->functions().C_SignInit(handle_, &view, key); },
                 [&] { return fmt::format("{}, key {}", mechanism_name(view.mechanism), key); }),
             "C_SignInit", mechanism);
  if (authenticate) authenticate();
  return answer_of("C_Sign", [&](unsigned char* out, CK_ULONG* size) {
    return module_->call(
        "C_Sign",
        [&] {
          return module_->functions().C_Sign(handle_, writable(data), data.size(), out, size);
        },
        [&] { return fmt::format("data [{}], signature [{}]", data.size(), *size); });
  });
}

void Session::begin_decrypt(const Mechanism& mechanism, CK_OBJECT_HANDLE key) const {
  CK_MECHANISM view = mechanism.view();
  check_with(
      module_->call(
          "C_DecryptInit", [&] { return module_->functions().C_DecryptInit(handle_, &view, key); },
          [&] { return fmt::format("{}, key {}", mechanism_name(view.mechanism), key); }),
      "C_DecryptInit", mechanism);
}

Secret Session::decrypt(ByteView ciphertext, const std::function<void()>& authenticate) const {
  if (authenticate) authenticate();
  return Secret::take(answer_of("C_Decrypt", [&](unsigned char* out, CK_ULONG* size) {
    return module_->call(
        "C_Decrypt",
        [&] {
          return module_->functions().C_Decrypt(handle_, writable(ciphertext), ciphertext.size(),
                                                out, size);
        },
        [&] { return fmt::format("ciphertext [{}], plaintext ***", ciphertext.size()); });
  }));
}

}  // namespace hsmith::pkcs11
