// hsmith key delete: private key, public key and certificate, shown first.

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "tokens/secret_keys.h"

namespace hsmith::cli {
namespace {

Outcome run(const std::string& name, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(name);
  const tokens::Reach way = reach_to_destroy(context, &selector);
  const tokens::OpenToken token =
      open_for_user(context, pkcs11::Access::read_write, way, &selector);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Key key = tokens::find_one_of_both(token, selector);
  tokens::check_can_delete(token, key);
  const tokens::KeyObjects objects = objects_for_change(token, key, context);
  const std::vector<Change> changes = deletions(objects);
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  undertake(context, token.info, deletion_facts(objects), [&](Undertaking&) {
    tokens::destroy(token, objects);
    return true;
  });
  return deleted(changes);
}

}  // namespace

void add_key_delete(Arguments& command, Context& context) {
  auto name = std::make_shared<std::string>();
  command.add_option("KEY", *name, "Label, id:HEX or PKCS#11 URI").required();
  command.footer(
      "Examples:\n  hsmith key delete old --token prod --plan\n  hsmith key delete old --token "
      "prod --yes");
  command.callback(
      [name, &context] { context.run = [name, &context] { return run(*name, context); }; });
}

}  // namespace hsmith::cli
