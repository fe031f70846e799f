#include "cli/passwords.h"

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/key_memory.h"
#include "tokens/pin.h"

namespace hsmith::cli {
namespace {

Secret ask(Context& context, tokens::PinRole role, const std::optional<std::string>& source,
           const std::string& file) {
  tokens::PinOptions options;
  options.role = role;
  options.option = source;
  options.may_prompt = !context.options.json && !context.options.batch;
  const tokens::PinSource chosen = tokens::choose_pin_source(options);
  auto password =
      tokens::read_pin(chosen,
                       {.role = role,
                        .prompt_for = quoted(file),
                        .warn = [&context](const std::string& text) { context.warn(text); }},
                       context.environment);
  if (!password)
    throw Error(Kind::usage, "a file's password cannot be typed at a token's pad: pinpad");
  return std::move(*password);
}

}  // namespace

void guard_keys(Context& context) {
  const std::string problem = ossl::guard_key_memory();
  if (problem.empty()) return;
  context.warn("the memory of private keys is not fully protected, they could be swapped out: " +
               problem);
}

Secret file_password(Context& context, const std::optional<std::string>& source,
                     const std::string& file) {
  return ask(context, tokens::PinRole::password, source, file);
}

Secret new_password(Context& context, const std::optional<std::string>& source,
                    const std::string& file) {
  return ask(context, tokens::PinRole::new_password, source, file);
}

}  // namespace hsmith::cli
