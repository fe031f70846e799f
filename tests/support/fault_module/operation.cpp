#include "tests/support/fault_module/operation.h"

#include <vector>

namespace hsmith::fault {
namespace {

constexpr CK_ULONG kRoom = 1 << 16;

// Cryptoki 2.40 cannot cancel an operation, but both ways of finishing one end it, whether they
// succeed or not: the one for several parts, and the one for a single part.
using Finish = CK_RV (*)(CK_SESSION_HANDLE, CK_BYTE*, CK_ULONG*);
using Single = CK_RV (*)(CK_SESSION_HANDLE, CK_BYTE*, CK_ULONG, CK_BYTE*, CK_ULONG*);

void end(CK_SESSION_HANDLE session, Finish finish, Single single) {
  std::vector<CK_BYTE> answer(kRoom);
  CK_ULONG length = answer.size();
  CK_BYTE nothing = 0;
  if (finish != nullptr) finish(session, answer.data(), &length);
  length = answer.size();
  if (single != nullptr) single(session, &nothing, 1, answer.data(), &length);
}

void end_verification(const CK_FUNCTION_LIST& real, CK_SESSION_HANDLE session) {
  CK_BYTE nothing = 0;
  real.C_VerifyFinal(session, &nothing, 1);
  real.C_Verify(session, &nothing, 1, &nothing, 1);
}

}  // namespace

void end_operation(const CK_FUNCTION_LIST& real, Function function, CK_SESSION_HANDLE session) {
  switch (function) {
    case Function::C_Sign:
    case Function::C_SignUpdate:
    case Function::C_SignFinal:
      return end(session, real.C_SignFinal, real.C_Sign);
    case Function::C_SignRecover:
      return end(session, nullptr, real.C_SignRecover);
    case Function::C_Verify:
    case Function::C_VerifyUpdate:
    case Function::C_VerifyFinal:
      return end_verification(real, session);
    case Function::C_VerifyRecover:
      return end(session, nullptr, real.C_VerifyRecover);
    case Function::C_Encrypt:
    case Function::C_EncryptUpdate:
    case Function::C_EncryptFinal:
      return end(session, real.C_EncryptFinal, real.C_Encrypt);
    case Function::C_Decrypt:
    case Function::C_DecryptUpdate:
    case Function::C_DecryptFinal:
      return end(session, real.C_DecryptFinal, real.C_Decrypt);
    case Function::C_Digest:
    case Function::C_DigestUpdate:
    case Function::C_DigestKey:
    case Function::C_DigestFinal:
      return end(session, real.C_DigestFinal, real.C_Digest);
    default:
      return;
  }
}

}  // namespace hsmith::fault
