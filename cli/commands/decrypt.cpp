// hsmith decrypt: a CMS or S/MIME message, with any key on the token that it was encrypted for.
#include "src/cms/decrypt.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/file_identity.h"
#include "src/base/text.h"
#include "src/cms/smime.h"
#include "src/x509/certificate.h"
#include "src/x509/kind.h"
#include "tokens/matching.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string certificate;
  std::string file;
  std::string output = "-";
};

constexpr std::size_t kMostNamed = 20;

void check_options(const Options& options, const Context& context) {
  if (is_same_file(options.file, options.output)) {
    throw Error(Kind::usage,
                fmt::format("decrypt {}: input and output are the same", quoted(options.file)));
  }
  if (context.options.json && options.output == "-") {
    throw Error(Kind::usage, "print a decrypted content as JSON: that does not go together")
        .hint("name a file with -o");
  }
  check_output(options.output, context.replace());
}

bool looks_like_message(ByteView content) {
  return cms::looks_like_cms(content) || cms::looks_like_smime(content) ||
         cms::looks_like_pem_cms(content);
}

// The message's BER.
Bytes read_message(const std::string& file) {
  Bytes content;
  try {
    content = cms::read_message_file(file, looks_like_message);
  } catch (const Error& error) {
    if (error.kind() != Kind::unsupported) throw;
    throw Error(Kind::unsupported, error.what())  // the hint there is one for signatures
        .hint("openssl cms -decrypt reads what is larger, with keys in files");
  }
  if (!looks_like_message(content))
    x509::refuse_kind(content, quoted(file), "an encrypted message");
  if (cms::looks_like_cms(content)) return content;
  if (cms::looks_like_smime(content)) return cms::read_smime(content, file).cms;
  return cms::cms_of(content, file);
}

// A private key whose public half is known, with the certificates that go with it, whether they are
// in service or not.
struct Candidate {
  tokens::Key key;
  std::vector<ossl::Certificate> certificates;
};

// With its public half, where anybody knows it and no other key may have it.
tokens::Key with_public_half(const tokens::OpenToken& token, const tokens::Inventory& inventory,
                             tokens::Key key) {
  try {
    if (tokens::has_doubtful_half(inventory, key))
      return tokens::with_proved_half(token, inventory, key);
    key.public_key = {tokens::public_key_of(inventory, key).release(), EVP_PKEY_free};
  } catch (const Error& error) {  // without it nothing tells what belongs to the key
    if (error.kind() == Kind::token_removed) throw;
  }
  return key;
}

std::vector<Candidate> candidates_of(const tokens::OpenToken& token, const Options& options) {
  const tokens::Inventory inventory = tokens::take_inventory(token);
  std::vector<tokens::Key> keys = inventory.private_keys;
  if (!options.key.empty()) keys = {tokens::find_one(token, tokens::parse_selector(options.key))};
  ossl::Certificate named;
  if (!options.certificate.empty())
    named = x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  std::vector<Candidate> candidates;
  for (const tokens::Key& key : keys) {
    Candidate candidate{with_public_half(token, inventory, key), {}};
    if (!candidate.key.public_key) continue;
    for (const auto& found : tokens::objects_of(inventory, candidate.key).certificates) {
      try {
        candidate.certificates.push_back(x509::certificate_from_der(found.der, found.uri));
      } catch (const Error&) {  // one that cannot be read names no recipient
      }
    }
    if (named &&
        ossl::same_public_key(candidate.key.public_key.get(), x509::public_key_of(named.get()))) {
      candidate.certificates.push_back(ossl::share(named.get()));
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

bool fits(const cms::Recipient& recipient, const Candidate& candidate) {
  if (recipient.kind == cms::Recipient::Kind::other) return false;
  const bool rsa = recipient.kind == cms::Recipient::Kind::rsa;
  return ossl::algorithm_of(candidate.key.public_key.get()) ==
         (rsa ? ossl::KeyAlgorithm::rsa : ossl::KeyAlgorithm::ec);
}

bool is_named(const cms::Recipient& recipient, const Candidate& candidate) {
  const cms::SignerName& name = recipient.name;
  if (!fits(recipient, candidate)) return false;
  const bool by_certificate =
      std::any_of(candidate.certificates.begin(), candidate.certificates.end(),
                  [&](const ossl::Certificate& c) { return cms::names(name, c.get()); });
  if (by_certificate || name.key_identifier.empty()) return by_certificate;
  return equal(name.key_identifier, candidate.key.id) ||
         equal(name.key_identifier, ossl::key_identifier(candidate.key.public_key.get()));
}

struct Match {
  const cms::Recipient* recipient = nullptr;
  const Candidate* candidate = nullptr;
};

bool may_decrypt(const tokens::Key& key) {
  return key.decrypt != false || key.unwrap == true || key.derive == true;
}

// The one key that is the recipient and may decrypt, or null. Throws ambiguous for different keys.
const Candidate* find_usable(const cms::Recipient& recipient,
                             const std::vector<Candidate>& candidates, const Options& options) {
  const Candidate* usable = nullptr;
  for (const Candidate& one : candidates) {
    if (!may_decrypt(one.key) || !is_named(recipient, one)) continue;
    if (usable == nullptr) usable = &one;
    if (ossl::same_public_key(usable->key.public_key.get(), one.key.public_key.get())) continue;
    throw Error(Kind::ambiguous, fmt::format("decrypt {}: several keys may be its recipient {}",
                                             quoted(options.file), cms::recipient_text(recipient)))
        .hint("name one of them with --key")
        .candidates({usable->key.uri, one.key.uri});
  }
  return usable;
}

// The first recipient of the message whose key is here and may decrypt. A key that was named and
// has no certificate may be meant by the one recipient that its type fits.
Match find_recipient(const cms::EnvelopedData& message, const std::vector<Candidate>& candidates,
                     const Options& options) {
  Match match;
  for (const cms::Recipient& recipient : message.recipients) {
    if (!recipient.refusal) {
      const Candidate* usable = find_usable(recipient, candidates, options);
      if (usable != nullptr) return {&recipient, usable};
    }
    for (const Candidate& candidate : candidates) {
      if (match.recipient == nullptr && is_named(recipient, candidate))
        match = {&recipient, &candidate};
    }
  }
  if (match.recipient != nullptr || options.key.empty() || candidates.empty()) return match;
  const Candidate& named = candidates.front();
  std::size_t fitting = 0;
  for (const cms::Recipient& recipient : message.recipients) {
    if (!fits(recipient, named)) continue;
    match = {&recipient, &named};
    ++fitting;
  }
  return fitting == 1 && named.certificates.empty() ? match : Match{};
}

Error nobody_here(const cms::EnvelopedData& message, const Options& options,
                  const tokens::OpenToken& token) {
  std::vector<std::string> names;
  for (const cms::Recipient& recipient : message.recipients) {
    if (names.size() == kMostNamed) break;
    names.push_back(cms::recipient_text(recipient));
  }
  const std::size_t more = message.recipients.size() - names.size();
  return Error(Kind::not_found,
               fmt::format("decrypt {}: {} on the token {} is {}among its recipients: {}{}",
                           quoted(options.file),
                           options.key.empty() ? "no key" : "the key " + quoted(options.key),
                           quoted(token.info.label), options.key.empty() ? "" : "not ",
                           fmt::join(names, "; "),
                           more > 0 ? fmt::format("; and {} more", more) : ""))
      .hint("a key is found by its certificate; where the token has none: --cert FILE");
}

Outcome run(const Options& options, Context& context) {
  check_options(options, context);
  const Bytes ber = read_message(options.file);
  const cms::EnvelopedData message =
      cms::read_enveloped_data(cms::read_content_info(ber, options.file), options.file);
  const tokens::Selector selector =
      options.key.empty() ? tokens::Selector{} : tokens::parse_selector(options.key);
  const tokens::OpenToken token =
      open_for_user(context, pkcs11::Access::read_only, options.key.empty() ? nullptr : &selector);
  const std::vector<Candidate> candidates = candidates_of(token, options);
  const Match match = find_recipient(message, candidates, options);
  if (match.recipient == nullptr) throw nobody_here(message, options, token);
  const tokens::Key& key = match.candidate->key;
  if (context.options.plan) return planned({{Change::Kind::create, "file " + options.output}});
  record(context, {{"event", "decrypt"}, {"key", key.uri}, {"file", json_text(options.file)}},
         audit::Flush::no);
  Bytes content =
      cms::decrypt(message, *match.recipient, *tokens::remote_key(token, key), options.file);
  const bool authenticated = message.cipher.cipher->authenticated;
  if (!authenticated) {
    context.warn(
        fmt::format("{}: the content is not authenticated ({}): it may have been changed "
                    "on its way",
                    quoted(options.file), message.cipher.cipher->name));
  }
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"file", json_text(options.file)},
                  {"recipient", json_text(cms::recipient_text(*match.recipient))},
                  {"cipher", message.cipher.cipher->name},
                  {"authenticated", authenticated},
                  {"content_type", message.content_type}};
  if (options.output == "-") {
    outcome.raw = std::move(content);
    return outcome;
  }
  write_file(options.output, content, kPrivateFile, context.replace());
  wipe(content.data(), content.size());
  outcome.data["output"] = json_text(options.output);
  outcome.text = printable(options.output) + "\n";
  return outcome;
}

}  // namespace

void add_decrypt(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key,
                     "Label, id:HEX or PKCS#11 URI of the key (default: the one that fits)");
  command.add_option("--cert", options->certificate,
                     "The recipient's certificate, where the token does not have it");
  command.add_option("-o,--output", options->output, "Where it goes (default standard output)");
  command.add_option("FILE", options->file, "The message; - is standard input").required();
  command.footer(
      "Examples:\n  hsmith decrypt report.pdf.p7m -o report.pdf\n"
      "  hsmith decrypt --key mail message.eml");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
