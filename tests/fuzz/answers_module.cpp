// The PKCS#11 module of answers_fuzz: every answer is taken from the fuzzer's input.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "pkcs11/cryptoki.h"

namespace {

const unsigned char* input = nullptr;
std::size_t left = 0;

unsigned char next() {
  if (left == 0) return 0;
  --left;
  return *input++;
}

CK_ULONG next_number() {
  const unsigned char kind = next();
  if (kind < 200) return kind;  // plausible
  if (kind < 220) return static_cast<CK_ULONG>(next()) << 8;
  if (kind < 240) return ~static_cast<CK_ULONG>(0) - next();  // -1 and its neighbours
  return static_cast<CK_ULONG>(next()) << 56;
}

// Mostly CKR_OK.
CK_RV code() {
  static constexpr CK_RV kCodes[] = {CKR_BUFFER_TOO_SMALL, CKR_ATTRIBUTE_TYPE_INVALID,
                                     CKR_ATTRIBUTE_SENSITIVE, CKR_GENERAL_ERROR, 0x80000001UL};
  const unsigned char pick = next();
  return pick < 220 ? CKR_OK : kCodes[pick % std::size(kCodes)];
}

void fill(void* out, std::size_t size) {
  auto* bytes = static_cast<unsigned char*>(out);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = next();
}

CK_RV initialize(void*) { return CKR_OK; }
CK_RV finalize(void*) { return CKR_OK; }

CK_RV get_info(CK_INFO* info) {
  fill(info, sizeof *info);
  return code();
}

CK_RV get_slot_list(CK_BBOOL, CK_SLOT_ID* list, CK_ULONG* count) {
  const CK_ULONG room = *count;
  *count = next_number();
  for (CK_ULONG i = 0; list != nullptr && i < std::min(room, *count); ++i) list[i] = next();
  return code();
}

CK_RV get_slot_info(CK_SLOT_ID, CK_SLOT_INFO* info) {
  fill(info, sizeof *info);
  return code();
}

CK_RV get_token_info(CK_SLOT_ID, CK_TOKEN_INFO* info) {
  fill(info, sizeof *info);
  return code();
}

CK_RV get_mechanism_list(CK_SLOT_ID, CK_MECHANISM_TYPE*, CK_ULONG* count) {
  *count = next_number();
  return code();
}

CK_RV get_mechanism_info(CK_SLOT_ID, CK_MECHANISM_TYPE, CK_MECHANISM_INFO* info) {
  fill(info, sizeof *info);
  return code();
}

CK_RV open_session(CK_SLOT_ID, CK_FLAGS, void*, CK_NOTIFY, CK_SESSION_HANDLE* handle) {
  *handle = 1;
  return CKR_OK;
}

CK_RV find_init(CK_SESSION_HANDLE, CK_ATTRIBUTE*, CK_ULONG) { return code(); }

CK_RV find(CK_SESSION_HANDLE, CK_OBJECT_HANDLE* list, CK_ULONG room, CK_ULONG* count) {
  *count = next_number();
  for (CK_ULONG i = 0; i < std::min<CK_ULONG>(room, std::min<CK_ULONG>(*count, 8)); ++i) {
    list[i] = next();
  }
  return code();
}

CK_RV find_final(CK_SESSION_HANDLE) { return code(); }

CK_RV get_attributes(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE* list, CK_ULONG count) {
  for (CK_ULONG i = 0; i < count; ++i) {
    const CK_ULONG room = list[i].pValue != nullptr ? list[i].ulValueLen : 0;
    list[i].ulValueLen = next_number();
    fill(list[i].pValue, std::min(room, list[i].ulValueLen));
  }
  return code();
}

// What the target does not call must be there all the same.
template <typename... Arguments>
CK_RV never(Arguments...) {
  return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_FUNCTION_LIST list{};

}  // namespace

extern "C" void hsmith_answers(const unsigned char* data, std::size_t size) {
  input = data;
  left = size;
}

extern "C" CK_RV C_GetFunctionList(CK_FUNCTION_LIST** out) {
  list.version = {2, 40};
  list.C_Initialize = initialize;
  list.C_Finalize = finalize;
  list.C_GetInfo = get_info;
  list.C_GetSlotList = get_slot_list;
  list.C_GetSlotInfo = get_slot_info;
  list.C_GetTokenInfo = get_token_info;
  list.C_GetMechanismList = get_mechanism_list;
  list.C_GetMechanismInfo = get_mechanism_info;
  list.C_OpenSession = open_session;
  list.C_FindObjectsInit = find_init;
  list.C_FindObjects = find;
  list.C_FindObjectsFinal = find_final;
  list.C_GetAttributeValue = get_attributes;
  list.C_InitToken = never;
  list.C_InitPIN = never;
  list.C_SetPIN = never;
  list.C_CloseSession = never;
  list.C_Login = never;
  list.C_Logout = never;
  list.C_CreateObject = never;
  list.C_DestroyObject = never;
  list.C_SetAttributeValue = never;
  list.C_SignInit = never;
  list.C_Sign = never;
  list.C_DecryptInit = never;
  list.C_Decrypt = never;
  list.C_GenerateKeyPair = never;
  list.C_GenerateKey = never;
  list.C_DeriveKey = never;
  *out = &list;
  return CKR_OK;
}
