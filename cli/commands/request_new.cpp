// hsmith request new: a PKCS#10 request signed by a key on the token.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/new_request.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/lint.h"
#include "src/x509/name.h"
#include "src/x509/profile.h"
#include "src/x509/request.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string name;
  std::string key_type;
  std::string profile;
  std::string subject;
  std::map<std::string, std::vector<std::string>> parts;  // by attribute type
  std::vector<std::string> names;
  std::string key_usage;
  std::string extended_key_usage;
  std::vector<std::string> extensions;
  std::string digest;
  std::string scheme;
  RequestOutput output;
  std::optional<std::string> challenge_source;
};

ossl::Name subject_of(const Options& options) {
  std::vector<x509::SubjectPart> parts;
  for (const auto& [type, values] : options.parts) {
    for (const std::string& value : values) parts.push_back({type, value});
  }
  if (options.subject.empty()) return x509::name_from_parts(parts);
  if (!parts.empty())
    throw Error(Kind::usage, "request new: give --subject, or --cn and the like, not both");
  return x509::parse_name(options.subject);
}

// OID:[critical:]FILE
x509::ExtraExtension extension_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos)
    throw Error(Kind::usage, fmt::format("--ext {}: expected OID:[critical:]FILE", quoted(text)));
  std::string file = text.substr(colon + 1);
  const bool critical = file.starts_with("critical:");
  if (critical) file.erase(0, 9);
  return x509::extra_extension(text.substr(0, colon), critical, read_file(file));
}

struct Wanted {
  x509::RequestSpec spec;
  std::optional<x509::Profile> profile;
};

Wanted wanted(const Options& options, Context& context) {
  Wanted wanted;
  std::vector<std::string> notices;
  wanted.spec.subject = subject_of(options);
  for (const std::string& names : options.names) {
    for (x509::AltName& name : x509::parse_alt_names(names, notices))
      wanted.spec.wishes.names.push_back(std::move(name));
  }
  if (!options.key_usage.empty())
    wanted.spec.wishes.key_usage = x509::parse_key_usage(options.key_usage);
  if (!options.extended_key_usage.empty()) {
    wanted.spec.wishes.extended_key_usage =
        x509::parse_extended_key_usage(options.extended_key_usage);
  }
  for (const std::string& text : options.extensions)
    wanted.spec.wishes.extra.push_back(extension_of(text));
  if (options.challenge_source) {
    wanted.spec.challenge_password =
        tokens::read_pin(tokens::parse_pin_source(*options.challenge_source, "--challenge-source"),
                         {.role = tokens::PinRole::password,
                          .prompt_for = "the challenge password",
                          .warn = [&](const std::string& text) { context.warn(text); }},
                         context.environment);
  }
  if (!options.profile.empty())
    wanted.profile = x509::load_profile(options.profile, profile_folder(context));
  for (const std::string& notice : notices) context.warn(notice);
  return wanted;
}

// What can be refused before the token is touched.
void refuse_early(const Options& options, const Wanted& wanted, Context& context) {
  if (X509_NAME_entry_count(wanted.spec.subject.get()) == 0 && wanted.spec.wishes.names.empty()) {
    throw Error(Kind::usage, "request new: neither a subject nor a name is given")
        .hint("add --cn, --subject or --san");
  }
  if (!options.key_type.empty() && wanted.profile) {
    refuse_errors(x509::lint_key_type(ossl::key_type_named(options.key_type), *wanted.profile),
                  "request new", context);
  }
  check_request_output(options.output, context);
}

tokens::KeySpec key_spec(const Options& options, const Wanted& wanted) {
  tokens::check_new_label(options.name);
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(options.key_type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes)
    throw Error(Kind::usage, "--key-type aes: only key pairs can request a certificate");
  spec.label = options.name;
  // A recovery agent's key decrypts and does nothing else; it signs only its own request.
  const bool agent = wanted.profile && wanted.profile->name == "kra";
  if (!agent) {
    spec.uses = {tokens::Use::sign};
  } else {
    spec.uses = {spec.type->algorithm == ossl::KeyAlgorithm::rsa ? tokens::Use::decrypt
                                                                 : tokens::Use::derive};
  }
  return spec;
}

Bytes make(const tokens::OpenToken& token, const tokens::Key& key, const Options& options,
           Wanted& wanted, Context& context) {
  const auto remote = tokens::remote_key(token, key, tokens::Signing::own_request);
  const ossl::Scheme scheme =
      ossl::choose_scheme(remote->public_key(), options.scheme, options.digest);
  const x509::Profile* profile = wanted.profile ? &*wanted.profile : nullptr;
  std::vector<std::string> notices;
  if (profile != nullptr) {
    x509::apply_profile(*profile, ossl::algorithm_of(remote->public_key()),
                        wanted.spec.subject.get(), wanted.spec.wishes, notices);
  }
  for (const std::string& notice : notices) context.warn(notice);
  auto findings = x509::lint_spec(wanted.spec, profile);
  for (x509::Finding& finding : x509::lint_key(remote->public_key(), profile))
    findings.push_back(std::move(finding));
  refuse_errors(findings, "request new", context);
  return x509::make_request(wanted.spec, remote, scheme);
}

// The request by a key that is made for it.
Outcome with_new_key(const Options& options, Wanted& wanted, Context& context) {
  const tokens::KeySpec spec = key_spec(options, wanted);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  return request_by_new_key(
      way, token, spec, options.output,
      [&](const tokens::Key& key) { return make(token, key, options, wanted, context); }, context);
}

Outcome with_present_key(const Options& options, Wanted& wanted, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.name);
  const tokens::Reach way = reach(context, &selector);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, way, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  if (context.options.plan)
    return planned(
        {{Change::Kind::create, fmt::format("request {} by {}", options.output.file, key.uri)}});
  const auto request = [&] {
    return deliver_request(options.output, key, make(token, key, options, wanted, context),
                           context);
  };
  if (key.sign != false) return request();
  // Such a key may have to be made able to sign for this moment: a change of the token.
  const auto lock = tokens::lock_token(way, token.info);
  const Json facts{{"label", json_text(key.label)}, {"id", hex(key.id)}, {"may_sign", false}};
  return undertake(context, token.info, facts, [&](Undertaking&) { return request(); });
}

Outcome run(const Options& options, Context& context) {
  Wanted what = wanted(options, context);
  refuse_early(options, what, context);
  return options.key_type.empty() ? with_present_key(options, what, context)
                                  : with_new_key(options, what, context);
}

}  // namespace

void add_request_new(CLI::App& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("NAME", options->name,
                  "The key: label, id:HEX or PKCS#11 URI; with --key-type a new label")
      ->required();
  command.add_option("--key-type", options->key_type, "Make the key: rsa:2048, ec:p256, …");
  command.add_option("--profile", options->profile,
                     "server, client, email, codesign, kra, or one of your own");
  command.add_option("--subject", options->subject,
                     "Distinguished name, RFC 4514: CN=www.example.com,O=…,C=…");
  constexpr std::pair<const char*, const char*> kParts[] = {{"--cn", "CN"},
                                                            {"--o", "O"},
                                                            {"--ou", "OU"},
                                                            {"--l", "L"},
                                                            {"--st", "ST"},
                                                            {"--c", "C"},
                                                            {"--email", "emailAddress"}};
  for (const auto& [option, type] : kParts) {
    command.add_option(option, options->parts[type], fmt::format("{} of the subject", type))
        ->allow_extra_args(false);
  }
  command.add_option("--san", options->names, "Names: dns:…,ip:…,email:…,uri:…,upn:…")
      ->allow_extra_args(false);
  command.add_option("--ku", options->key_usage, "Key usage: digitalSignature,keyEncipherment,…");
  command.add_option("--eku", options->extended_key_usage,
                     "Extended key usage: serverAuth,… or OIDs");
  command
      .add_option("--ext", options->extensions,
                  "Further extension: OID:[critical:]FILE with its DER value")
      ->allow_extra_args(false);
  command.add_option("--digest", options->digest, "sha256, sha384, sha512 (default by the key)");
  command.add_option("--scheme", options->scheme, "pkcs1 or pss (default pkcs1)");
  command.add_option("-o,--output", options->output.file,
                     "File to write (default: standard output)");
  command.add_option("--format", options->output.format, "pem or der (default pem)")
      ->check(CLI::IsMember({"pem", "der"}));
  command.add_flag("--new-header", options->output.new_header,
                   "Write BEGIN NEW CERTIFICATE REQUEST");
  command.add_option("--challenge-source", options->challenge_source,
                     "Challenge password from env:NAME, file:PATH, …");
  command.footer(
      "Examples:\n  hsmith request new web --cn www.example.com --san dns:www.example.com -o "
      "web.csr\n"
      "  hsmith request new mail --key-type rsa:3072 --profile email --email a@example.com -o "
      "mail.csr");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
