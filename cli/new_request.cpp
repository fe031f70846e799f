#include "cli/new_request.h"

#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/new_key.h"
#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/alt_names.h"
#include "src/x509/input.h"
#include "src/x509/request.h"

namespace hsmith::cli {
namespace {

x509::PemHeader header_of(const RequestOutput& output) {
  return output.new_header ? x509::PemHeader::new_certificate_request
                           : x509::PemHeader::certificate_request;
}

}  // namespace

void check_request_output(const RequestOutput& output, const Context& context) {
  if (output.file == "-" && output.format == "der" && context.options.json) {
    throw Error(Kind::usage, "print a request in DER as JSON: that does not go together")
        .hint("name a file with -o");
  }
  check_output(output.file, context.replace());
}

Outcome deliver_request(const RequestOutput& output, const tokens::Key& key,
                        const x509::MadeRequest& made, Context& context) {
  const Bytes written = output.wrap ? output.wrap(made.der) : made.der;
  // certreq has one label for all that it writes.
  const char* label = output.new_header ? "NEW CERTIFICATE REQUEST" : "PKCS7";
  const std::string pem =
      output.wrap ? x509::pem(label, written) : x509::request_pem(made.der, header_of(output));
  const Bytes content = output.format == "der" ? written : to_bytes(as_bytes(pem));
  const x509::RequestFacts facts = x509::request_facts(made.read.get());
  keep_request(context.environment.state_folder, x509::public_key_of(made.read.get()), made.der);
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"subject", json_text(facts.subject)},
                  {"names", x509::texts_of(facts.extensions.names)},
                  {"signature_algorithm", facts.signature_algorithm},
                  {"public_key_sha256", facts.key_sha256}};
  if (output.file == "-") {
    if (output.format == "der") outcome.raw = content;
    outcome.text = pem;
    outcome.data["pem"] = pem;
    return outcome;
  }
  write_file(output.file, content, kPublicFile, context.replace());
  outcome.data["file"] = json_text(output.file);
  outcome.text =
      fmt::format("{}: request for {} by {}\n", printable(output.file), facts.subject, key.uri);
  return outcome;
}

Outcome request_by_present_key(const tokens::Reach& way, const tokens::OpenToken& token,
                               const tokens::Key& key, const RequestOutput& output,
                               const MakeRequest& make, Context& context) {
  if (context.options.plan)
    return planned({{Change::Kind::create, fmt::format("request {} by {}", output.file, key.uri)}});
  const auto request = [&] { return deliver_request(output, key, make(key), context); };
  if (key.sign != false) return request();
  // Such a key may have to be made able to sign for this moment: a change of the token.
  const auto lock = tokens::lock_token(way, token.info);
  const Json facts{{"label", json_text(key.label)},
                   {"id", hex(key.id)},
                   {"public_key", hex(ossl::spki_of(tokens::public_key_of(token, key).get()))},
                   {"may_sign", false}};
  return undertake(context, token.info, facts, [&](Undertaking&) { return request(); });
}

Outcome request_by_new_key(const tokens::Reach& way, const tokens::OpenToken& token,
                           const tokens::KeySpec& spec, const RequestOutput& output,
                           const MakeRequest& make, Context& context) {
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_place(token, spec);
  tokens::check_free(token, spec.label, {});
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create, fmt::format("key pair {} of type {} on {}", quoted(spec.label),
                                            spec.type->name, tokens::token_uri(token.info))},
         {Change::Kind::create, "request " + output.file}});
  }
  const Json facts{{"label", spec.label},
                   {"type", spec.type->name},
                   {"use", tokens::use_names(spec.uses)},
                   {"may_sign", spec.uses.contains(tokens::Use::sign)},
                   {"request", json_text(output.file)}};
  return undertake(context, token.info, facts, [&](Undertaking& undertaking) {
    const tokens::Generated made = tokens::generate(token, spec, [&](EVP_PKEY* key) {
      undertaking.know("public_key", hex(ossl::spki_of(key)));
    });
    for (const std::string& note : made.notes) context.warn(note);
    try {
      return deliver_request(output, made.key, make(made.key), context);
    } catch (const Error& error) {
      remove_new_key(token, made.key, error, [&] {
        forget_request(context.environment.state_folder, made.key.public_key.get());
      });
    }
  });
}

}  // namespace hsmith::cli
