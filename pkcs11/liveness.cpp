#include "pkcs11/liveness.h"

#include <fmt/format.h>

namespace hsmith::pkcs11 {

bool still_answers(const Module& module, CK_SLOT_ID slot, const TokenInfo& token) {
  if (!token.has(CKF_RNG)) return true;
  const auto& functions = module.functions();
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  const CK_RV opened = module.call(
      "C_OpenSession",
      [&] { return functions.C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session); },
      [&] { return fmt::format("slot {}, read-only", slot); });
  if (opened != CKR_OK) return true;
  unsigned char byte = 0;
  const CK_RV given = module.call(
      "C_GenerateRandom", [&] { return functions.C_GenerateRandom(session, &byte, 1); },
      [] { return std::string("1 byte"); });
  module.call(
      "C_CloseSession", [&] { return functions.C_CloseSession(session); },
      [&] { return fmt::format("session {}", session); });
  return given == CKR_OK;
}

}  // namespace hsmith::pkcs11
