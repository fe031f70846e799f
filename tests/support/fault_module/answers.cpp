#include "tests/support/fault_module/answers.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "tests/support/fault_module/state.h"

namespace hsmith::fault {
namespace {

bool scripted(Action action) {
  return std::ranges::find(state().rules, action, &Rule::action) != state().rules.end();
}

// Gives a list of handles or types as Cryptoki does: the size alone, or all of it.
CK_RV give_list(const std::vector<CK_ULONG>& list, CK_ULONG* to, CK_ULONG* count) {
  const CK_ULONG room = *count;
  *count = list.size();
  if (to == nullptr) return CKR_OK;
  if (room < list.size()) return CKR_BUFFER_TOO_SMALL;
  std::ranges::copy(list, to);
  return CKR_OK;
}

template <std::size_t Size>
void write_field(unsigned char (&field)[Size], const std::string& text) {
  std::memset(field, ' ', Size);
  std::memcpy(field, text.data(), std::min(Size, text.size()));
}

// False for a rule that is not about tokens.
bool change_token(const Rule& rule, CK_TOKEN_INFO& info) {
  switch (rule.action) {
    case Action::set_token_flag:
      info.flags |= rule.number;
      return true;
    case Action::clear_token_flag:
      info.flags &= ~rule.number;
      return true;
    case Action::token_label:
      write_field(info.label, *rule.value);
      return true;
    case Action::token_serial:
      write_field(info.serialNumber, *rule.value);
      return true;
    case Action::token_model:
      write_field(info.model, *rule.value);
      return true;
    case Action::token_manufacturer:
      write_field(info.manufacturerID, *rule.value);
      return true;
    case Action::token_time:
      write_field(info.utcTime, *rule.value);
      return true;
    default:
      return false;
  }
}

bool is_about_tokens(const Rule& rule) {
  CK_TOKEN_INFO unused{};
  return change_token(rule, unused);
}

bool is_about_attributes(const Rule& rule) {
  return rule.action == Action::attribute_value || rule.action == Action::attribute_length ||
         rule.action == Action::attribute_flip || rule.action == Action::hide_attribute;
}

bool names(std::span<const CK_ATTRIBUTE> attributes, const Rule& rule) {
  return is_about_attributes(rule) &&
         std::ranges::find(attributes, rule.attribute, &CK_ATTRIBUTE::type) != attributes.end();
}

// The rules that act on this reading of these attributes.
std::vector<const Rule*> acting(std::span<const CK_ATTRIBUTE> attributes,
                                CK_OBJECT_CLASS object_class) {
  std::vector<const Rule*> acting;
  for (const Rule& rule : state().rules) {
    if (!names(attributes, rule)) continue;
    if (rule.object_class && *rule.object_class != object_class) continue;
    if (state().acts(rule)) acting.push_back(&rule);
  }
  return acting;
}

const Rule* replacing(const std::vector<const Rule*>& rules, CK_ATTRIBUTE_TYPE type) {
  for (const Rule* rule : rules) {
    const bool replaces =
        rule->action == Action::attribute_value || rule->action == Action::hide_attribute;
    if (replaces && rule->attribute == type) return rule;
  }
  return nullptr;
}

// Answers for one attribute in the real module's place.
CK_RV give(const Rule& rule, CK_ATTRIBUTE& attribute) {
  const CK_ULONG room = attribute.ulValueLen;
  attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
  if (rule.action == Action::hide_attribute) return CKR_ATTRIBUTE_TYPE_INVALID;
  if (attribute.pValue != nullptr && room < rule.value->size()) return CKR_BUFFER_TOO_SMALL;
  attribute.ulValueLen = rule.value->size();
  if (attribute.pValue != nullptr) {
    std::memcpy(attribute.pValue, rule.value->data(), rule.value->size());
  }
  return CKR_OK;
}

void falsify(const Rule& rule, CK_ATTRIBUTE& attribute) {
  if (rule.action == Action::attribute_length) {
    attribute.ulValueLen = rule.length.changed(attribute.ulValueLen);
  }
  const bool read =
      attribute.pValue != nullptr && attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION;
  if (rule.action == Action::attribute_flip && read) {
    flip(rule, {static_cast<unsigned char*>(attribute.pValue), attribute.ulValueLen});
  }
}

}  // namespace

CK_RV get_info(Call& call, CK_INFO* info) {
  const CK_RV answer = state().real->C_GetInfo(info);
  for (const Rule& rule : state().rules) {
    if (rule.action != Action::cryptoki_version || answer != CKR_OK) continue;
    call.rules.push_back(&rule);
    info->cryptokiVersion.major = static_cast<unsigned char>(rule.number >> 8);
    info->cryptokiVersion.minor = static_cast<unsigned char>(rule.number & 0xff);
  }
  return answer;
}

CK_RV get_slot_list(Call& call, CK_BBOOL token_present, CK_SLOT_ID* slots, CK_ULONG* count) {
  if (!scripted(Action::hide_slot) || count == nullptr) {
    return state().real->C_GetSlotList(token_present, slots, count);
  }
  CK_ULONG length = 0;
  const CK_RV counted = state().real->C_GetSlotList(token_present, nullptr, &length);
  std::vector<CK_SLOT_ID> list(length);
  if (counted != CKR_OK) return counted;
  const CK_RV listed = state().real->C_GetSlotList(token_present, list.data(), &length);
  if (listed != CKR_OK) return listed;
  list.resize(length);

  std::vector<bool> hidden(list.size());
  for (const Rule& rule : state().rules) {
    if (rule.action != Action::hide_slot || !state().acts(rule)) continue;
    call.rules.push_back(&rule);
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (rule.number == 0 || rule.number == i + 1) hidden[i] = true;
    }
  }
  std::vector<CK_SLOT_ID> visible;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!hidden[i]) visible.push_back(list[i]);
  }
  return give_list(visible, slots, count);
}

CK_RV get_token_info(Call& call, CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  const CK_RV answer = state().real->C_GetTokenInfo(slot, info);
  // An empty slot of SoftHSM is a token, too; it would be counted along.
  if (answer != CKR_OK || (info->flags & CKF_TOKEN_INITIALIZED) == 0) return answer;
  for (const Rule& rule : state().rules) {
    if (rule.action == Action::max_sessions) info->ulMaxSessionCount = rule.number;
    if (!is_about_tokens(rule) || !state().acts(rule)) continue;
    call.rules.push_back(&rule);
    change_token(rule, *info);
  }
  return answer;
}

CK_RV get_mechanism_list(Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE* types, CK_ULONG* count) {
  if (!scripted(Action::hide_mechanism) || count == nullptr) {
    return state().real->C_GetMechanismList(slot, types, count);
  }
  CK_ULONG length = 0;
  const CK_RV counted = state().real->C_GetMechanismList(slot, nullptr, &length);
  std::vector<CK_MECHANISM_TYPE> list(length);
  if (counted != CKR_OK) return counted;
  const CK_RV listed = state().real->C_GetMechanismList(slot, list.data(), &length);
  if (listed != CKR_OK) return listed;
  list.resize(length);
  for (const Rule& rule : state().rules) {
    if (rule.action != Action::hide_mechanism) continue;
    if (std::erase(list, rule.number) > 0) call.rules.push_back(&rule);
  }
  return give_list(list, types, count);
}

CK_RV get_attribute_value(Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                          CK_ATTRIBUTE* attributes, CK_ULONG count) {
  const auto ask = state().real->C_GetAttributeValue;
  const std::span asked(attributes, attributes == nullptr ? 0 : count);
  const auto about = [&](const Rule& rule) { return names(asked, rule); };
  CK_OBJECT_CLASS object_class = 0;
  CK_ATTRIBUTE read_class{CKA_CLASS, &object_class, sizeof object_class};
  if (std::ranges::none_of(state().rules, about) ||
      ask(session, object, &read_class, 1) != CKR_OK) {
    return ask(session, object, attributes, count);
  }

  const auto rules = acting(asked, object_class);
  call.rules.insert(call.rules.end(), rules.begin(), rules.end());
  CK_RV replaced = CKR_OK;
  std::vector<CK_ATTRIBUTE> rest;
  for (CK_ATTRIBUTE& attribute : asked) {
    const Rule* rule = replacing(rules, attribute.type);
    if (rule == nullptr) rest.push_back(attribute);
    if (rule != nullptr) replaced = std::max(replaced, give(*rule, attribute));
  }
  const CK_RV answer = rest.empty() ? CKR_OK : ask(session, object, rest.data(), rest.size());
  auto next = rest.begin();
  for (CK_ATTRIBUTE& attribute : asked) {
    if (replacing(rules, attribute.type) == nullptr) attribute.ulValueLen = (next++)->ulValueLen;
    for (const Rule* rule : rules) {
      if (rule->attribute == attribute.type) falsify(*rule, attribute);
    }
  }
  return replaced == CKR_OK ? answer : replaced;
}

CK_RV open_session(Call& call, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                   CK_SESSION_HANDLE* session) {
  const std::lock_guard lock(state().mutex);
  for (const Rule& rule : state().rules) {
    if (rule.action != Action::max_sessions || state().sessions.size() < rule.number) continue;
    call.rules.push_back(&rule);
    return CKR_SESSION_COUNT;
  }
  const CK_RV answer = state().real->C_OpenSession(slot, flags, application, notify, session);
  if (answer == CKR_OK) state().sessions[*session] = slot;
  return answer;
}

CK_RV close_session(Call&, CK_SESSION_HANDLE session) {
  const std::lock_guard lock(state().mutex);
  const CK_RV answer = state().real->C_CloseSession(session);
  if (answer == CKR_OK) state().sessions.erase(session);
  return answer;
}

CK_RV close_all_sessions(Call&, CK_SLOT_ID slot) {
  const std::lock_guard lock(state().mutex);
  const CK_RV answer = state().real->C_CloseAllSessions(slot);
  if (answer == CKR_OK) {
    std::erase_if(state().sessions, [slot](const auto& open) { return open.second == slot; });
  }
  return answer;
}

CK_RV finalize(Call&, void* reserved) {
  const std::lock_guard lock(state().mutex);
  const CK_RV answer = state().real->C_Finalize(reserved);
  if (answer == CKR_OK) state().sessions.clear();
  return answer;
}

}  // namespace hsmith::fault
