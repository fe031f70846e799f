// A PKCS#11 library: loaded, initialised, and finalised at the end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pkcs11/cryptoki.h"
#include "pkcs11/process_state.h"
#include "pkcs11/trace.h"

namespace hsmith::pkcs11 {

// A token's own description at one moment; texts without their padding, unescaped.
struct TokenInfo {
  std::string label;
  std::string manufacturer;
  std::string model;
  std::string serial;
  CK_FLAGS flags = 0;
  CK_ULONG max_sessions = 0;  // at once; CK_EFFECTIVELY_INFINITE: no limit
  CK_ULONG max_pin = 0;
  CK_ULONG min_pin = 0;
  CK_ULONG total_public_memory = 0;
  CK_ULONG free_public_memory = 0;
  CK_ULONG total_private_memory = 0;
  CK_ULONG free_private_memory = 0;
  CK_VERSION hardware{};
  CK_VERSION firmware{};

  bool has(CK_FLAGS flag) const { return (flags & flag) != 0; }
};

struct ModuleInfo {
  CK_VERSION cryptoki{};
  CK_VERSION library{};
  std::string manufacturer;
  std::string description;
};

struct SlotInfo {
  std::string description;
  std::string manufacturer;
  CK_FLAGS flags = 0;
};

struct MechanismInfo {
  CK_MECHANISM_TYPE type = 0;
  CK_ULONG min_key_size = 0;
  CK_ULONG max_key_size = 0;
  CK_FLAGS flags = 0;
};

struct ModuleSettings {
  std::string path;
  std::string init;  // initialisation string, mostly empty
  std::shared_ptr<Trace> trace;
};

// One process has one module open at a time. Whatever uses it goes before it does; C_Finalize runs
// before main returns (SoftHSM 2.6.1 crashes in static destructors). Standard output leads to
// standard error meanwhile: results are printed when the module is gone.
class Module {
 public:
  // dlopen, C_GetFunctionList, C_Initialize. Throws module_load with what the file is instead.
  static std::shared_ptr<Module> load(const ModuleSettings& settings);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::string& path() const { return settings_.path; }
  ModuleInfo info() const;
  // Slots with a token in them, or all. At most 10,000.
  std::vector<CK_SLOT_ID> slots(CK_BBOOL with_token) const;
  SlotInfo slot_info(CK_SLOT_ID slot) const;
  TokenInfo token_info(CK_SLOT_ID slot) const;
  std::vector<CK_MECHANISM_TYPE> mechanisms(CK_SLOT_ID slot) const;
  MechanismInfo mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type) const;
  // Wipes what is on the token and gives it a label (UTF-8, at most 32 bytes).
  void init_token(CK_SLOT_ID slot, ByteView so_pin, const std::string& label) const;

  const CK_FUNCTION_LIST& functions() const { return *functions_; }

  // Makes one call, traced. `describe` gives its arguments as text and is only asked when tracing.
  template <typename Call, typename Describe>
  CK_RV call(const char* name, Call make, Describe describe) const {
    if (!settings_.trace) return make();
    const auto start = std::chrono::steady_clock::now();
    const CK_RV rv = make();
    settings_.trace->line(name, describe(), rv, std::chrono::steady_clock::now() - start);
    return rv;
  }

 private:
  explicit Module(const ModuleSettings& settings) : settings_(settings) {}
  void open_library();
  void initialize();

  OutputToErrors output_;  // goes last: a module may print while it is finalised
  ModuleSettings settings_;
  const CK_FUNCTION_LIST* functions_ = nullptr;
  bool initialized_ = false;
};

}  // namespace hsmith::pkcs11
