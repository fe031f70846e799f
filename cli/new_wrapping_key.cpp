#include "cli/new_wrapping_key.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <openssl/rand.h>

#include "cli/changes.h"
#include "cli/key_protection.h"
#include "cli/officer_session.h"
#include "cli/passwords.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/ossl/check.h"
#include "src/x509/public_key.h"
#include "tokens/token_key.h"
#include "tokens/wrapping.h"
#include "tokens/wrapping_key_file.h"

namespace hsmith::cli {
namespace {

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  ossl::check(RAND_priv_bytes(bytes.data(), static_cast<int>(size)) == 1, "make random bytes");
  return bytes;
}

// Somebody must have compared what is approved with what the other token's officer sees.
void check_approval(const WrappingKeyOptions& options, const std::string& right,
                    const std::string& what) {
  for (const std::string& approval : options.approvals) {
    if (lower(approval) == right) return;
  }
  throw Error(Kind::refused, fmt::format("{}: it is not approved: {}", what, right))
      .hint(fmt::format("compare it with what the other token's officer sees, then add: --approve "
                        "{}",
                        right));
}

std::vector<ossl::PKey> read_recipients(const WrappingKeyOptions& options) {
  std::vector<ossl::PKey> keys;
  for (const std::string& file : options.to) {
    keys.push_back(x509::read_public_key(read_file(file), quoted(file)));
    check_approval(options, ca::approval_of(keys.back().get()),
                   fmt::format("send a wrapping key to {}", quoted(file)));
  }
  return keys;
}

void check_options(const tokens::KeySpec& spec, const std::string& login_as,
                   const WrappingKeyOptions& options) {
  if (login_as != "so") {
    throw Error(Kind::login_failed,
                fmt::format("generate the wrapping key {}: the security officer makes it, for only "
                            "the officer can make a key trusted",
                            quoted(spec.label)))
        .hint("hsmith key generate NAME --type aes:256 --use wrap --login-as so");
  }
  if (options.to.empty() != options.output.empty())
    throw Error(Kind::usage, "key generate: --to and -o go together");
  if (options.from.empty() != options.key.empty())
    throw Error(Kind::usage, "key generate: --from and --key go together");
  if (!options.from.empty() && !options.to.empty())
    throw Error(Kind::usage,
                "key generate: a wrapping key comes --from a file or goes --to others");
}

// Where the key comes from: nullopt, and the token makes it; else its value.
std::optional<Secret> value_of(tokens::KeySpec& spec, const WrappingKeyOptions& options,
                               Context& context) {
  if (options.from.empty() && options.to.empty()) return std::nullopt;
  if (options.from.empty()) return Secret::take(random_bytes(32));
  const std::string name = quoted(options.from);
  const auto file =
      tokens::read_wrapping_key(read_file(options.from, tokens::kWrappingKeyLimit), name);
  check_approval(options, file.check_value, fmt::format("take the wrapping key {}", name));
  if (spec.id.empty()) spec.id = file.id;
  const tokens::Selector selector = tokens::parse_selector(options.key);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  record(context, {{"event", "decrypt"}, {"key", key.uri}, {"input", options.from}},
         audit::Flush::yes);
  return tokens::open_wrapping_key(file, *tokens::remote_key(token, key), name);
}

tokens::Key put_on_token(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                         const std::optional<Secret>& value) {
  if (!value) return tokens::generate_wrapping_key(token, spec);
  const tokens::Key key = tokens::import_wrapping_key(token, spec, *value);
  if (tokens::check_value(token, key) == tokens::check_value(*value)) return key;
  throw Error(Kind::token_failed,
              fmt::format("{} wraps otherwise than the key that it was made of; it cannot be "
                          "deleted again: do not use it",
                          key.uri))
      .unfinished();
}

// The file first: a key that stays behind without it could never reach the other token.
tokens::Key put_on_token_and_file(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                                  const std::optional<Secret>& value,
                                  const std::vector<ossl::PKey>& recipients,
                                  const std::string& output, Context& context) {
  if (recipients.empty()) return put_on_token(token, spec, value);
  const auto file = tokens::seal_wrapping_key(*value, spec.label, spec.id, recipients);
  write_file(output, as_bytes(tokens::wrapping_key_text(file)), kPrivateFile, context.replace());
  try {
    return put_on_token(token, spec, value);
  } catch (const Error& error) {
    std::error_code ignored;
    if (!error.is_unfinished()) std::filesystem::remove(output, ignored);
    throw;
  }
}

std::vector<Change> changes_of(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                               const WrappingKeyOptions& options) {
  std::vector<Change> changes;
  if (!options.output.empty())
    changes.push_back({Change::Kind::create,
                       fmt::format("{} with the wrapping key, encrypted for {} other tokens",
                                   quoted(options.output), options.to.size())});
  changes.push_back(
      {Change::Kind::create,
       fmt::format("wrapping key {} of type {} on {}; it cannot be deleted again",
                   quoted(spec.label), spec.type->name, tokens::token_uri(token.info))});
  return changes;
}

// The key is there, checked, and stays: a token that fails now is no reason to say that it failed.
std::string check_value_of(const tokens::OpenToken& token, const tokens::Key& key,
                           Context& context) {
  try {
    return tokens::check_value(token, key);
  } catch (const Error& error) {
    context.warn(error.what());
    return "";
  }
}

}  // namespace

Outcome make_wrapping_key(tokens::KeySpec spec, const std::string& login_as,
                          const WrappingKeyOptions& options, Context& context) {
  check_options(spec, login_as, options);
  if (!options.from.empty() || !options.to.empty()) guard_keys(context);
  const std::vector<ossl::PKey> recipients = read_recipients(options);
  if (!options.output.empty()) check_output(options.output, context.replace());
  const std::optional<Secret> value = value_of(spec, options, context);
  if (spec.id.empty()) spec.id = random_bytes(20);
  const tokens::Reach way = reach(context);
  const OfficerSession officer = open_for_officer(context, way);
  const tokens::OpenToken& token = officer.token;
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_free(token, spec.label, spec.id);
  tokens::prove_wrapping_keys(token, spec, officer.while_logged_out);
  if (context.options.plan) return planned(changes_of(token, spec, options));
  const Json facts{{"label", spec.label},
                   {"type", spec.type->name},
                   {"use", "wrap"},
                   {"id", hex(spec.id)},
                   {"login_as", login_as}};
  const tokens::Key key = undertake(context, token.info, facts, [&](Undertaking&) {
    return put_on_token_and_file(token, spec, value, recipients, options.output, context);
  });
  if (value) {
    context.warn(fmt::format("{} was outside of the token, in the memory of this process{}",
                             key.uri,
                             options.from.empty() ? "" : ", and came in a file: delete that file"));
  }
  Outcome outcome;
  outcome.data = made_key_json(token, key);
  const std::string is = check_value_of(token, key, context);
  if (!is.empty()) outcome.data["check_value"] = is;
  outcome.text = fmt::format("{}\n", key.uri);
  if (!is.empty()) outcome.text += fmt::format("check value {}\n", is);
  return outcome;
}

}  // namespace hsmith::cli
