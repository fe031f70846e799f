// The calls whose answers the module looks into: what a token says of itself and its objects.
#pragma once

#include <p11-kit/pkcs11.h>

#include "tests/support/fault_module/call.h"

namespace hsmith::fault {

// Each asks the real module and changes its answer as the script says.
CK_RV get_info(Call& call, CK_INFO* info);
CK_RV get_slot_list(Call& call, CK_BBOOL token_present, CK_SLOT_ID* slots, CK_ULONG* count);
CK_RV get_token_info(Call& call, CK_SLOT_ID slot, CK_TOKEN_INFO* info);
CK_RV get_mechanism_list(Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE* types, CK_ULONG* count);
CK_RV get_attribute_value(Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                          CK_ATTRIBUTE* attributes, CK_ULONG count);

// These keep the list of open sessions.
CK_RV open_session(Call& call, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                   CK_SESSION_HANDLE* session);
CK_RV close_session(Call& call, CK_SESSION_HANDLE session);
CK_RV close_all_sessions(Call& call, CK_SLOT_ID slot);
CK_RV finalize(Call& call, void* reserved);

}  // namespace hsmith::fault
