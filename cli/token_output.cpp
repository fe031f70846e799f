#include "cli/token_output.h"

namespace hsmith::cli {

std::string token_state(const pkcs11::TokenInfo& token) {
  if (!token.has(CKF_TOKEN_INITIALIZED)) return "not initialised";
  if (token.has(CKF_USER_PIN_LOCKED)) return "PIN locked";
  if (token.has(CKF_USER_PIN_FINAL_TRY)) return "last try for the PIN";
  if (token.has(CKF_USER_PIN_COUNT_LOW)) return "a wrong PIN was tried";
  if (token.has(CKF_LOGIN_REQUIRED) && !token.has(CKF_USER_PIN_INITIALIZED)) return "PIN not set";
  if (token.has(CKF_USER_PIN_TO_BE_CHANGED)) return "PIN to be changed";
  if (token.has(CKF_WRITE_PROTECTED)) return "write-protected";
  return "ready";
}

std::string officer_pin_state(const pkcs11::TokenInfo& token) {
  if (token.has(CKF_SO_PIN_LOCKED)) return "locked";
  if (token.has(CKF_SO_PIN_FINAL_TRY)) return "last try";
  if (token.has(CKF_SO_PIN_COUNT_LOW)) return "a wrong one was tried";
  return token.has(CKF_SO_PIN_TO_BE_CHANGED) ? "to be changed" : "ready";
}

Json token_json(const pkcs11::TokenInfo& token) {
  const bool initialised = token.has(CKF_TOKEN_INITIALIZED);
  Json json = Json::object();
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = json_text(value);
  };
  text("label", token.label);
  text("manufacturer", token.manufacturer);
  text("model", token.model);
  text("serial", token.serial);
  json["state"] = token_state(token);
  json["initialised"] = initialised;
  json["login_required"] = token.has(CKF_LOGIN_REQUIRED);
  json["write_protected"] = token.has(CKF_WRITE_PROTECTED);
  json["pin_pad"] = token.has(CKF_PROTECTED_AUTHENTICATION_PATH);
  json["user_pin"] = {{"set", token.has(CKF_USER_PIN_INITIALIZED)},
                      {"count_low", token.has(CKF_USER_PIN_COUNT_LOW)},
                      {"last_try", token.has(CKF_USER_PIN_FINAL_TRY)},
                      {"locked", token.has(CKF_USER_PIN_LOCKED)},
                      {"to_be_changed", token.has(CKF_USER_PIN_TO_BE_CHANGED)}};
  json["so_pin"] = {{"count_low", token.has(CKF_SO_PIN_COUNT_LOW)},
                    {"last_try", token.has(CKF_SO_PIN_FINAL_TRY)},
                    {"locked", token.has(CKF_SO_PIN_LOCKED)},
                    {"to_be_changed", token.has(CKF_SO_PIN_TO_BE_CHANGED)}};
  if (initialised) json["uri"] = tokens::token_uri(token);
  return json;
}

}  // namespace hsmith::cli
