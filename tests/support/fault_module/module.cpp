// A PKCS#11 module that forwards every call to a real one and fails it as a script says
// (docs/fault-module.md).
#include <algorithm>
#include <cstdio>
#include <shared_mutex>
#include <type_traits>

#include "tests/support/fault_module/answers.h"
#include "tests/support/fault_module/state.h"

namespace hsmith::fault {
namespace {

template <Function F>
using Tag = std::integral_constant<Function, F>;

// The arguments are told apart by their types: Cryptoki always has a length behind its pointer.
void note_pair(Arguments& to, CK_BYTE*, CK_ULONG length) {
  to.input = to.input.value_or(0) + length;
}
void note_pair(Arguments& to, CK_BYTE* bytes, CK_ULONG* length) {
  const CK_ULONG room = bytes == nullptr || length == nullptr ? 0 : *length;
  to.output = {.bytes = bytes, .length = length, .capacity = room};
}
void note_pair(Arguments& to, CK_ATTRIBUTE* attributes, CK_ULONG count) {
  to.templates.push_back({attributes, attributes == nullptr ? 0 : count});
}
void note_pair(Arguments&, ...) {}

void note(Arguments& to, CK_MECHANISM* mechanism) {
  if (mechanism != nullptr) to.mechanism = mechanism->mechanism;
}
void note(Arguments&, ...) {}

template <typename First>
void note_pairs(Arguments&, First) {}
template <typename First, typename Second, typename... Rest>
void note_pairs(Arguments& to, First first, Second second, Rest... rest) {
  note_pair(to, first, second);
  note_pairs(to, second, rest...);
}

void note_session(Arguments& to, CK_ULONG first) { to.session = first; }
void note_session(Arguments&, ...) {}

template <Function F, typename First, typename... Rest>
Arguments describe(Tag<F>, First first, Rest... rest) {
  Arguments arguments;
  note_session(arguments, first);
  (note(arguments, rest), ...);
  note_pairs(arguments, first, rest...);
  return arguments;
}

Output list_output(CK_ULONG* list, CK_ULONG room, CK_ULONG* count) {
  return {.bytes = reinterpret_cast<unsigned char*>(list),
          .length = count,
          .capacity = list == nullptr ? 0 : room,
          .element = sizeof(CK_ULONG)};
}

Arguments describe(Tag<Function::C_GetSlotList>, CK_BBOOL, CK_SLOT_ID* slots, CK_ULONG* count) {
  Arguments arguments;
  if (count != nullptr) arguments.output = list_output(slots, *count, count);
  return arguments;
}

Arguments describe(Tag<Function::C_GetMechanismList>, CK_SLOT_ID, CK_MECHANISM_TYPE* types,
                   CK_ULONG* count) {
  Arguments arguments;
  if (count != nullptr) arguments.output = list_output(types, *count, count);
  return arguments;
}

Arguments describe(Tag<Function::C_FindObjects>, CK_SESSION_HANDLE, CK_OBJECT_HANDLE* objects,
                   CK_ULONG room, CK_ULONG* count) {
  Arguments arguments;
  arguments.output = list_output(objects, room, count);
  return arguments;
}

Arguments describe(Tag<Function::C_GetMechanismInfo>, CK_SLOT_ID, CK_MECHANISM_TYPE type,
                   CK_MECHANISM_INFO*) {
  Arguments arguments;
  arguments.mechanism = type;
  return arguments;
}

Arguments describe(Tag<Function::C_GenerateRandom>, CK_SESSION_HANDLE, CK_BYTE* bytes,
                   CK_ULONG length) {
  Arguments arguments;
  arguments.output = {.bytes = bytes, .capacity = length};
  return arguments;
}

// The function of the real module behind each of ours.
template <Function F>
constexpr auto real_member() {
#define HSMITH_MEMBER(name) \
  if constexpr (F == Function::name) return &CK_FUNCTION_LIST::name;
  HSMITH_FAULT_FUNCTIONS(HSMITH_MEMBER)
#undef HSMITH_MEMBER
}

template <Function F, typename... Given>
CK_RV answer(Call& call, Given... given) {
  const std::shared_lock in_real_module(state().in_real_module);
  if constexpr (F == Function::C_GetInfo)
    return get_info(call, given...);
  else if constexpr (F == Function::C_GetSlotList)
    return get_slot_list(call, given...);
  else if constexpr (F == Function::C_GetTokenInfo)
    return get_token_info(call, given...);
  else if constexpr (F == Function::C_GetMechanismList)
    return get_mechanism_list(call, given...);
  else if constexpr (F == Function::C_GetAttributeValue)
    return get_attribute_value(call, given...);
  else if constexpr (F == Function::C_OpenSession)
    return open_session(call, given...);
  else if constexpr (F == Function::C_CloseSession)
    return close_session(call, given...);
  else if constexpr (F == Function::C_CloseAllSessions)
    return close_all_sessions(call, given...);
  else if constexpr (F == Function::C_Finalize)
    return finalize(call, given...);
  else
    return (state().real->*real_member<F>())(given...);
}

// Takes attributes out of the template that the real module will see: the caller's array closes up.
void drop_pair(const Call& call, CK_ATTRIBUTE* attributes, CK_ULONG& count) {
  if (attributes == nullptr) return;
  for (const Rule* rule : call.rules) {
    if (rule->action != Action::drop_attribute) continue;
    CK_ATTRIBUTE* end = std::remove_if(attributes, attributes + count, [&](const auto& attribute) {
      return attribute.type == rule->attribute;
    });
    count = static_cast<CK_ULONG>(end - attributes);
  }
}
template <typename First, typename Second>
void drop_pair(const Call&, const First&, const Second&) {}

template <typename First>
void drop_pairs(const Call&, First&) {}
template <typename First, typename Second, typename... Rest>
void drop_pairs(const Call& call, First& first, Second& second, Rest&... rest) {
  drop_pair(call, first, second);
  drop_pairs(call, second, rest...);
}

template <Function F, typename... Given>
CK_RV forward(Given... given) noexcept {
  Call call = begin(F, describe(Tag<F>(), given...));
  if (!call.result) drop_pairs(call, given...);
  if (!call.result) call.real = answer<F>(call, given...);
  return finish(call);
}

CK_RV initialize(void* arguments) noexcept {
  if (state().problem.empty()) return forward<Function::C_Initialize>(arguments);
  std::fprintf(stderr, "hsmith_fault_module: %s\n", state().problem.c_str());
  return CKR_GENERAL_ERROR;
}

CK_RV get_function_list(CK_FUNCTION_LIST** list) noexcept;

CK_FUNCTION_LIST make_list() {
  CK_FUNCTION_LIST list{};
  list.version = {CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR};
#define HSMITH_ENTRY(name) list.name = forward<Function::name>;
  HSMITH_FAULT_FUNCTIONS(HSMITH_ENTRY)
#undef HSMITH_ENTRY
  list.C_Initialize = initialize;
  list.C_GetFunctionList = get_function_list;
  for (const Rule& rule : state().rules) {
    if (rule.action == Action::cryptoki_version) {
      list.version = {static_cast<unsigned char>(rule.number >> 8),
                      static_cast<unsigned char>(rule.number & 0xff)};
    }
#define HSMITH_NULL(name) \
  if (rule.action == Action::null_function && rule.function == Function::name) list.name = nullptr;
    HSMITH_FAULT_FUNCTIONS(HSMITH_NULL)
#undef HSMITH_NULL
  }
  return list;
}

// Answered here, as the first call of all; a bad script is C_Initialize's to report.
CK_RV get_function_list(CK_FUNCTION_LIST** list) noexcept {
  static CK_FUNCTION_LIST ours = make_list();
  if (list == nullptr) return CKR_ARGUMENTS_BAD;
  *list = &ours;
  if (!state().problem.empty()) return CKR_OK;
  Call call = begin(Function::C_GetFunctionList, {});
  if (!call.result) call.real = CKR_OK;
  return finish(call);
}

}  // namespace
}  // namespace hsmith::fault

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  return hsmith::fault::get_function_list(list);
}
