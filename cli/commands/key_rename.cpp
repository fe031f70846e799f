// hsmith key rename: another label for a key and what goes with it.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "src/base/text.h"
#include "tokens/secret_keys.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string name;
};

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  tokens::check_new_label(options.name);
  const tokens::Reach way = reach(context, &selector);
  const tokens::OpenToken token =
      open_for_user(context, pkcs11::Access::read_write, way, &selector);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::Key key = tokens::find_one_of_both(token, selector);
  Outcome outcome;
  if (key.label != options.name) {
    tokens::check_can_rename(token, key);
    tokens::check_free(token, options.name, {});
    const tokens::KeyObjects objects = objects_for_change(token, key, context);
    if (context.options.plan) {
      return planned({{Change::Kind::change,
                       fmt::format("label of {}, {} public key(s) and {} certificate(s) to {}",
                                   key.uri, objects.public_keys.size(), objects.certificates.size(),
                                   quoted(options.name))}});
    }
    Json facts{{"from", json_text(key.label)}, {"to", options.name}, {"id", hex(key.id)}};
    if (key.object_class == CKO_SECRET_KEY) {
      facts["class"] = "secret";
    } else {
      facts["public_key"] = public_key_fact(objects);
    }
    undertake(context, token.info, facts, [&](Undertaking&) {
      tokens::rename(token, objects, options.name);
      return true;
    });
    key.label = options.name;
    key.uri =
        tokens::object_uri(token, key.label, key.id,
                           key.object_class == CKO_SECRET_KEY ? tokens::ObjectType::secret_key
                                                              : tokens::ObjectType::private_key);
  } else if (context.options.plan) {
    return planned({});
  }
  outcome.data = key_json(key);
  outcome.text = key.uri + "\n";
  return outcome;
}

}  // namespace

void add_key_rename(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("KEY", options->key, "Label, id:HEX or PKCS#11 URI").required();
  command.add_option("NEW", options->name, "The new label; must be free").required();
  command.footer(
      "Examples:\n  hsmith key rename web web-2025\n  hsmith key rename id:0a0b mail --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
