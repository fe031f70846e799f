#include "pkcs11/module.h"

#include <algorithm>
#include <array>
#include <dlfcn.h>
#include <fmt/format.h>

#include "pkcs11/error.h"
#include "pkcs11/names.h"
#include "src/base/text.h"

namespace hsmith::pkcs11 {
namespace {

constexpr CK_ULONG kMostSlots = 10'000;
constexpr CK_ULONG kMostMechanisms = 10'000;

// Cryptoki's texts are padded with blanks; some modules end them with NUL instead.
template <std::size_t Size>
std::string unpadded(const unsigned char (&field)[Size]) {
  std::string text(reinterpret_cast<const char*>(field), Size);
  text.resize(std::min(text.find('\0'), text.size()));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// What a library is that has no C_GetFunctionList.
std::string what_it_is(void* library) {
  if (dlsym(library, "PKCS11_CTX_new") != nullptr) {
    return "this is libp11, a helper library that loads PKCS#11 modules itself";
  }
  if (dlsym(library, "bind_engine") != nullptr) return "this is an OpenSSL engine";
  if (dlsym(library, "OSSL_provider_init") != nullptr) return "this is an OpenSSL provider";
  return "it is no PKCS#11 library (it has no C_GetFunctionList)";
}

Error load_error(const std::string& path, const std::string& why) {
  return Error(Kind::module_load, fmt::format("load the module {}: {}", quoted(path), why))
      .hint(
          "--module takes the path of a PKCS#11 library, or a name that p11-kit knows; SoftHSM's "
          "is softhsm2");
}

// The calls that hsmith makes; a function list may have holes.
bool is_complete(const CK_FUNCTION_LIST& f) {
  return f.C_Initialize && f.C_Finalize && f.C_GetInfo && f.C_GetSlotList && f.C_GetSlotInfo &&
         f.C_GetTokenInfo && f.C_GetMechanismList && f.C_GetMechanismInfo && f.C_InitToken &&
         f.C_InitPIN && f.C_SetPIN && f.C_OpenSession && f.C_CloseSession && f.C_Login &&
         f.C_Logout && f.C_CreateObject && f.C_DestroyObject && f.C_GetAttributeValue &&
         f.C_SetAttributeValue && f.C_FindObjectsInit && f.C_FindObjects && f.C_FindObjectsFinal &&
         f.C_SignInit && f.C_Sign && f.C_DecryptInit && f.C_Decrypt && f.C_GenerateKeyPair &&
         f.C_GenerateKey && f.C_DeriveKey;
}

// A list whose length the module tells: the first answer mostly fits, a module that keeps saying
// otherwise is given up.
template <typename T, typename Ask>
std::vector<T> growing_list(CK_ULONG room, CK_ULONG most, const char* function, Ask ask) {
  std::vector<T> list(room);
  for (int round = 0; round < 8; ++round) {
    CK_ULONG count = list.size();
    const CK_RV rv = ask(list.data(), &count);
    if (count > most) {
      throw Error(Kind::token_failed,
                  fmt::format("{} says that there are {} entries", function, count));
    }
    if (rv == CKR_OK && count <= list.size()) {
      list.resize(count);
      return list;
    }
    if (rv != CKR_BUFFER_TOO_SMALL) check(rv, function);
    list.resize(std::max<CK_ULONG>(count, list.size() * 2));
  }
  throw Error(Kind::token_failed, fmt::format("{} does not come to an end", function));
}

}  // namespace

std::shared_ptr<Module> Module::load(const ModuleSettings& settings) {
  std::shared_ptr<Module> module(new Module(settings));
  const ProcessState before;
  module->open_library();
  module->initialize();
  return module;
}

void Module::open_library() {
  // Never closed: libraries that a module pulled in may have threads and exit handlers.
  void* library = dlopen(path().c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::string why = dlerror();
    if (why.starts_with(path() + ": ")) why.erase(0, path().size() + 2);
    if (why.find("wrong ELF class") != std::string::npos)
      why += " (built for another architecture)";
    throw load_error(path(), why);
  }
  auto get_list = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get_list == nullptr) throw load_error(path(), what_it_is(library));
  CK_FUNCTION_LIST* list = nullptr;
  const CK_RV rv = call(
      "C_GetFunctionList", [&] { return get_list(&list); }, [] { return std::string(); });
  if (rv != CKR_OK || list == nullptr) {
    throw load_error(path(), "C_GetFunctionList fails with " + return_code_name(rv));
  }
  if (list->version.major < 2 || !is_complete(*list)) {
    throw load_error(path(), "its function list is older than PKCS#11 2.0 or has holes");
  }
  functions_ = list;
}

void Module::initialize() {
  InitializeArguments arguments{};
  arguments.standard.flags = CKF_OS_LOCKING_OK;
  if (!settings_.init.empty()) arguments.standard.pReserved = settings_.init.data();
  const CK_RV rv = call(
      "C_Initialize", [&] { return functions_->C_Initialize(&arguments); },
      [&] { return settings_.init.empty() ? "" : "init string " + quoted(settings_.init); });
  if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) return;
  if (rv != CKR_OK) {
    throw Error(Kind::module_load, fmt::format("start the module {}: {}", quoted(path()),
                                               error_of(rv, "C_Initialize").what()))
        .ckr(return_code_name(rv))
        .hint(
            "check the module's own configuration (for SoftHSM: SOFTHSM2_CONF); some modules "
            "want --module-init");
  }
  initialized_ = true;
}

Module::~Module() {
  if (!initialized_) return;
  try {
    call(
        "C_Finalize", [&] { return functions_->C_Finalize(nullptr); },
        [] { return std::string(); });
  } catch (const std::exception&) {  // a full disk under the trace: nobody is left to tell
  }
}

ModuleInfo Module::info() const {
  CK_INFO info{};
  check(
      call(
          "C_GetInfo", [&] { return functions_->C_GetInfo(&info); }, [] { return std::string(); }),
      "C_GetInfo");
  return {info.cryptokiVersion, info.libraryVersion, unpadded(info.manufacturerID),
          unpadded(info.libraryDescription)};
}

std::vector<CK_SLOT_ID> Module::slots(CK_BBOOL with_token) const {
  return growing_list<CK_SLOT_ID>(
      64, kMostSlots, "C_GetSlotList", [&](CK_SLOT_ID* list, CK_ULONG* count) {
        return call(
            "C_GetSlotList", [&] { return functions_->C_GetSlotList(with_token, list, count); },
            [&] { return fmt::format("token present {}, {} slots", with_token != 0, *count); });
      });
}

SlotInfo Module::slot_info(CK_SLOT_ID slot) const {
  CK_SLOT_INFO info{};
  check(call(
            "C_GetSlotInfo", [&] { return functions_->C_GetSlotInfo(slot, &info); },
            [&] { return fmt::format("slot {}", slot); }),
        "C_GetSlotInfo");
  return {unpadded(info.slotDescription), unpadded(info.manufacturerID), info.flags};
}

TokenInfo Module::token_info(CK_SLOT_ID slot) const {
  CK_TOKEN_INFO info{};
  check(call(
            "C_GetTokenInfo", [&] { return functions_->C_GetTokenInfo(slot, &info); },
            [&] { return fmt::format("slot {}", slot); }),
        "C_GetTokenInfo");
  return {.label = unpadded(info.label),
          .manufacturer = unpadded(info.manufacturerID),
          .model = unpadded(info.model),
          .serial = unpadded(info.serialNumber),
          .flags = info.flags,
          .max_sessions = info.ulMaxSessionCount,
          .max_pin = info.ulMaxPinLen,
          .min_pin = info.ulMinPinLen,
          .total_public_memory = info.ulTotalPublicMemory,
          .free_public_memory = info.ulFreePublicMemory,
          .total_private_memory = info.ulTotalPrivateMemory,
          .free_private_memory = info.ulFreePrivateMemory,
          .hardware = info.hardwareVersion,
          .firmware = info.firmwareVersion};
}

std::vector<CK_MECHANISM_TYPE> Module::mechanisms(CK_SLOT_ID slot) const {
  // Room for all that there may be: NSS 3.87 writes its 161 without looking at the room.
  return growing_list<CK_MECHANISM_TYPE>(
      kMostMechanisms, kMostMechanisms, "C_GetMechanismList",
      [&](CK_MECHANISM_TYPE* list, CK_ULONG* count) {
        return call(
            "C_GetMechanismList", [&] { return functions_->C_GetMechanismList(slot, list, count); },
            [&] { return fmt::format("slot {}, {} mechanisms", slot, *count); });
      });
}

MechanismInfo Module::mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type) const {
  CK_MECHANISM_INFO info{};
  check(call(
            "C_GetMechanismInfo", [&] { return functions_->C_GetMechanismInfo(slot, type, &info); },
            [&] { return fmt::format("slot {}, {}", slot, mechanism_name(type)); }),
        "C_GetMechanismInfo");
  return {type, info.ulMinKeySize, info.ulMaxKeySize, info.flags};
}

void Module::init_token(CK_SLOT_ID slot, ByteView so_pin, const std::string& label) const {
  constexpr std::size_t kLabelSize = 32;
  if (label.empty() || label.size() > kLabelSize) {
    throw Error(Kind::usage,
                fmt::format("name the token {}: a label has 1 to 32 bytes", quoted(label)));
  }
  // The zero behind the 32 bytes is not Cryptoki's: p11-kit 0.24 sends all up to the first one.
  std::array<unsigned char, kLabelSize + 1> padded{};
  std::fill_n(padded.begin(), kLabelSize, ' ');
  std::copy(label.begin(), label.end(), padded.begin());
  Bytes pin = to_bytes(so_pin);  // Cryptoki takes it without const
  const CK_RV rv = call(
      "C_InitToken",
      [&] { return functions_->C_InitToken(slot, pin.data(), pin.size(), padded.data()); },
      [&] { return fmt::format("slot {}, PIN ***, label {}", slot, quoted(label)); });
  wipe(pin.data(), pin.size());
  check(rv, "C_InitToken");
}

}  // namespace hsmith::pkcs11
