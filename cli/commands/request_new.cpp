// hsmith request new: a PKCS#10 request signed by a key on the token.
#include <algorithm>
#include <fmt/format.h>

#include "cli/archival_request.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/new_key.h"
#include "cli/new_request.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/lint.h"
#include "src/x509/name.h"
#include "src/x509/profile.h"
#include "src/x509/request.h"
#include "src/x509/request_template.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr std::size_t kTemplateLimit = 1u << 20;

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
  std::string template_file;
  RequestOutput output;
  std::optional<std::string> challenge_source;
  ArchivalOptions archival;
};

// Null when the options say nothing of it.
ossl::Name subject_of(const Options& options) {
  std::vector<x509::SubjectPart> parts;
  for (const auto& [type, values] : options.parts) {
    for (const std::string& value : values) parts.push_back({type, value});
  }
  if (options.subject.empty()) return parts.empty() ? nullptr : x509::name_from_parts(parts);
  if (!parts.empty())
    throw Error(Kind::usage, "--subject, --cn: give one, or the other and the like, not both");
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
  std::string digest;
  std::string scheme;
  std::string key_type;       // which the template asks for
  std::string template_name;  // Windows's, for a request with its key
};

// What the template says; what an option says goes before it, and takes its place.
x509::RequestTemplate template_of(const Options& options) {
  x509::RequestTemplate wanted;
  if (!options.template_file.empty()) {
    wanted = x509::parse_request_template(read_file(options.template_file, kTemplateLimit),
                                          options.template_file);
  }
  if (ossl::Name subject = subject_of(options)) wanted.subject = std::move(subject);
  if (!wanted.subject) wanted.subject = x509::name_from_parts({});
  if (!options.names.empty()) wanted.wishes.names.clear();
  for (const std::string& names : options.names) {
    for (x509::AltName& name : x509::parse_alt_names(names, wanted.notices))
      wanted.wishes.names.push_back(std::move(name));
  }
  if (!options.key_usage.empty())
    wanted.wishes.key_usage = x509::parse_key_usage(options.key_usage);
  if (!options.extended_key_usage.empty())
    wanted.wishes.extended_key_usage = x509::parse_extended_key_usage(options.extended_key_usage);
  if (!options.extensions.empty()) wanted.wishes.extra.clear();
  for (const std::string& text : options.extensions)
    wanted.wishes.extra.push_back(extension_of(text));
  if (!options.profile.empty()) wanted.profile = options.profile;
  if (!options.digest.empty()) wanted.digest = options.digest;
  if (!options.scheme.empty()) wanted.scheme = options.scheme;
  return wanted;
}

std::optional<Secret> challenge_from(const std::string& source, Context& context) {
  return tokens::read_pin(tokens::parse_pin_source(source, "--challenge-source"),
                          {.role = tokens::PinRole::password,
                           .prompt_for = "the challenge password",
                           .warn = [&](const std::string& text) { context.warn(text); }},
                          context.environment);
}

Wanted wanted(Options& options, Context& context) {
  x509::RequestTemplate from = template_of(options);
  Wanted wanted;
  if (!from.profile.empty())
    wanted.profile = x509::load_profile(from.profile, profile_folder(context));
  if (!wanted.profile || x509::names_a_host(*wanted.profile))
    x509::common_names_to_a_labels(from.subject.get(), from.notices);
  wanted.spec.subject = std::move(from.subject);
  wanted.spec.wishes = std::move(from.wishes);
  wanted.digest = from.digest;
  wanted.scheme = from.scheme;
  wanted.key_type = from.key_type.empty() ? "" : ossl::key_type_named(from.key_type).name;
  wanted.template_name = from.template_name;
  if (wanted.template_name.empty() && wanted.profile)
    wanted.template_name = wanted.profile->template_name;
  if (from.archive && !options.archival.wanted) {
    throw Error(Kind::usage, context.command + ": the template wants the private key archived")
        .hint("add --archive --exchange-cert FILE --ca-cert FILE");
  }
  options.output.new_header = options.output.new_header || from.new_header;
  if (options.challenge_source)
    wanted.spec.challenge_password = challenge_from(*options.challenge_source, context);
  for (const std::string& notice : from.notices) context.warn(notice);
  return wanted;
}

// The template's KeyLength and the like say which key it is for; they make none.
void check_type(const std::string& type, const Wanted& wanted, const Context& context) {
  if (wanted.key_type.empty() || wanted.key_type == type) return;
  throw Error(Kind::mismatch,
              fmt::format("{}: the template is for a key of type {}, this one is of type {}",
                          context.command, wanted.key_type, type))
      .hint("change the template, or take another key");
}

// What can be refused before the token is touched.
void refuse_early(const Options& options, const Wanted& wanted, Context& context) {
  if (X509_NAME_entry_count(wanted.spec.subject.get()) == 0 && wanted.spec.wishes.names.empty()) {
    throw Error(Kind::usage, context.command + ": neither a subject nor a name is given")
        .hint("add --cn, --subject, --san or --template");
  }
  if (!options.key_type.empty())
    check_type(ossl::key_type_named(options.key_type).name, wanted, context);
  if (!options.key_type.empty() && wanted.profile) {
    refuse_errors(x509::lint_key_type(ossl::key_type_named(options.key_type), *wanted.profile),
                  context.command, context);
  }
  check_request_output(options.output, context);
}

// What the key must be able to do for the certificate that is asked for. That of a TLS server or
// client may name keyEncipherment too, for exchanges of old: its key signs.
std::set<tokens::Use> uses_of(const Wanted& wanted, ossl::KeyAlgorithm algorithm) {
  x509::Wishes wishes = wanted.spec.wishes;
  std::vector<std::string> notices;
  if (wanted.profile) x509::apply_profile(*wanted.profile, algorithm, nullptr, wishes, notices);
  auto uses = uses_of_key_usage(wishes.key_usage, algorithm);
  const auto is_of_tls = [](const std::string& purpose) {
    return purpose == "serverAuth" || purpose == "clientAuth";
  };
  const auto& purposes = wishes.extended_key_usage;
  if (!purposes.empty() && std::ranges::all_of(purposes, is_of_tls) &&
      uses.contains(tokens::Use::sign))
    uses = {tokens::Use::sign};
  return uses;
}

// A key that is there may have been made for something else.
void warn_of_missing_uses(const tokens::Key& key, const Wanted& wanted, Context& context) {
  const auto warn = [&](const tokens::Claim& can, const char* what) {
    if (can == false) {
      context.warn(fmt::format("{} cannot {}, though the certificate will say so", key.uri, what));
    }
  };
  const auto algorithm = key.type == CKK_RSA  ? ossl::KeyAlgorithm::rsa
                         : key.type == CKK_EC ? ossl::KeyAlgorithm::ec
                                              : ossl::KeyAlgorithm::ed25519;
  for (const tokens::Use use : uses_of(wanted, algorithm)) {
    if (use == tokens::Use::sign) warn(key.sign, "sign");
    if (use == tokens::Use::decrypt) warn(key.decrypt, "decrypt");
    if (use == tokens::Use::derive) warn(key.derive, "agree on keys");
  }
}

tokens::KeySpec key_spec(const Options& options, const Wanted& wanted) {
  tokens::check_new_label(options.name);
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(options.key_type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes)
    throw Error(Kind::usage, "--key-type aes: only key pairs can request a certificate");
  spec.label = options.name;
  spec.uses = uses_of(wanted, spec.type->algorithm);
  if (spec.uses.empty()) spec.uses = {tokens::Use::sign};
  return spec;
}

// Everything that can be wrong with what is asked of this key.
void check_wanted(EVP_PKEY* key, Wanted& wanted, Context& context) {
  const x509::Profile* profile = wanted.profile ? &*wanted.profile : nullptr;
  std::vector<std::string> notices;
  if (profile != nullptr) {
    x509::apply_profile(*profile, ossl::algorithm_of(key), wanted.spec.subject.get(),
                        wanted.spec.wishes, notices);
  }
  for (const std::string& notice : notices) context.warn(notice);
  auto findings = x509::lint_spec(wanted.spec, profile);
  for (x509::Finding& finding : x509::lint_key(key, profile))
    findings.push_back(std::move(finding));
  refuse_errors(findings, context.command, context);
}

x509::MadeRequest sign(const std::shared_ptr<ossl::RemoteKey>& remote, Wanted& wanted,
                       Context& context) {
  check_type(ossl::key_type_name(remote->public_key()), wanted, context);
  const ossl::Scheme scheme =
      ossl::choose_scheme(remote->public_key(), wanted.scheme, wanted.digest);
  check_wanted(remote->public_key(), wanted, context);
  return x509::make_request(wanted.spec, remote, scheme);
}

x509::MadeRequest make(const tokens::OpenToken& token, const tokens::Key& key, Wanted& wanted,
                       Context& context) {
  return sign(tokens::remote_key(token, key, tokens::Signing::own_request), wanted, context);
}

// The request by a key that is made for it.
Outcome with_new_key(const Options& options, Wanted& wanted, Context& context) {
  const tokens::KeySpec spec = key_spec(options, wanted);
  if (options.archival.wanted) {
    return request_with_archived_key(
        options.archival, spec, options.output, wanted.template_name,
        [&](const auto& key) { return sign(key, wanted, context); }, context);
  }
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  return request_by_new_key(
      way, token, spec, options.output,
      [&](const tokens::Key& key) { return make(token, key, wanted, context); }, context);
}

Outcome with_present_key(const Options& options, Wanted& wanted, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.name);
  const tokens::Reach way = reach(context, &selector);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, way, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  warn_of_missing_uses(key, wanted, context);
  if (context.options.plan) {
    const ossl::PKey half = tokens::public_key_of(token, key);
    check_type(ossl::key_type_name(half.get()), wanted, context);
    check_wanted(half.get(), wanted, context);
  }
  return request_by_present_key(
      way, token, key, options.output,
      [&](const tokens::Key& signer) { return make(token, signer, wanted, context); }, context);
}

Outcome run(Options& options, Context& context) {
  check_archival_options(options.archival, options.key_type, context);
  Wanted what = wanted(options, context);
  refuse_early(options, what, context);
  return options.key_type.empty() ? with_present_key(options, what, context)
                                  : with_new_key(options, what, context);
}

}  // namespace

void add_request_new(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("NAME", options->name,
                  "The key: label, id:HEX or PKCS#11 URI; with --key-type a new label")
      .required();
  command.add_option("--key-type", options->key_type, "Make the key: rsa:2048, ec:p256, …");
  command.add_option("--profile", options->profile,
                     "server, server-wildcard, server-multidomain, client, client-ipsec, "
                     "client-vpn, client-8021x, email, codesign, kra, subca, ocsp, "
                     "hongkongpost-ecert, or one of your own");
  command.add_option("--template", options->template_file,
                     "File with what is not given here: TOML, or [NewRequest] as certreq reads it");
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
        .one_each();
  }
  command.add_option("--san", options->names, "Names: dns:…,ip:…,email:…,uri:…,upn:…").one_each();
  command.add_option("--ku", options->key_usage, "Key usage: digitalSignature,keyEncipherment,…");
  command.add_option("--eku", options->extended_key_usage,
                     "Extended key usage: serverAuth,… or OIDs");
  command
      .add_option("--ext", options->extensions,
                  "Further extension: OID:[critical:]FILE with its DER value")
      .one_each();
  command.add_option("--digest", options->digest, "sha256, sha384, sha512 (default by the key)");
  command.add_option("--scheme", options->scheme, "pkcs1 or pss (default pkcs1)");
  command.add_option("-o,--output", options->output.file,
                     "File to write (default: standard output)");
  command.add_option("--format", options->output.format, "pem or der (default pem)")
      .one_of({"pem", "der"});
  command.add_flag("--new-header", options->output.new_header,
                   "Write BEGIN NEW CERTIFICATE REQUEST");
  command.add_option("--challenge-source", options->challenge_source,
                     "Challenge password from env:NAME, file:PATH, …");
  add_archival_options(command, options->archival);
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
