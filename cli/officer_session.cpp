#include "cli/officer_session.h"

#include <fmt/format.h>

namespace hsmith::cli {

OfficerSession open_for_officer(Context& context, const tokens::Reach& way) {
  const tokens::PinOptions options = pin_options(context, tokens::PinRole::so);
  const auto source = std::make_shared<tokens::PinSource>(tokens::choose_pin_source(options));
  // Before the module is loaded: a command forks.
  const auto pin = std::make_shared<std::optional<Secret>>(
      tokens::read_pin(*source,
                       {.role = tokens::PinRole::so,
                        .prompt_for = way.token.text.empty() ? "the token" : way.token.text,
                        .warn = way.warn},
                       *way.environment));
  tokens::OpenToken token =
      tokens::open_token(way, pkcs11::Access::read_write, tokens::Login::none, {});
  tokens::check_login_flags(token.info, tokens::Login::so, way.use_last_try);
  token.login = tokens::Login::so;
  const auto log_in = [way, token, source, pin] {
    const auto lock = tokens::lock_module(way.module_path, way.lock_folder);
    tokens::log_in(way, token, tokens::Login::so, *source, *pin);
  };
  log_in();
  const auto while_logged_out = [token, log_in](const std::function<void()>& work) {
    token.session->logout();
    work();
    log_in();
  };
  return {token, while_logged_out};
}

}  // namespace hsmith::cli
