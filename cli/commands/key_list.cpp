// hsmith key list: one row a key, with its certificate.
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <openssl/objects.h>
#include <tuple>
#include <unordered_map>

#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/key_protection.h"
#include "src/base/contains.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/inventory.h"

namespace hsmith::cli {
namespace {

using tokens::Inventory;
using tokens::Key;
using tokens::TokenCertificate;

struct Options {
  std::string type;
  std::string use;
  std::string label;
  bool without_certificate = false;
  unsigned sessions = 1;
};

// A key, and what its certificate says, where it has one that can be read.
struct Row {
  const Key* key;
  std::string certificate;  // subject
  std::optional<std::time_t> expires;
};

// The certificates of a token by what joins them with a key, each parsed once: a token may hold
// thousands. The key is the public key's bits, or an id where these are not known.
struct CertificateIndex {
  struct Entry {
    std::string subject;
    std::optional<std::time_t> expires;
  };
  std::unordered_multimap<std::string, Entry> by_public_key;
  std::unordered_multimap<std::string, Entry> by_id;
};

CertificateIndex index_certificates(const Inventory& inventory) {
  CertificateIndex index;
  for (const TokenCertificate& there : inventory.certificates) {
    CertificateIndex::Entry entry{"(cannot be read)", {}};
    try {
      const ossl::Certificate parsed = x509::certificate_from_der(there.der, there.uri);
      const x509::CertificateFacts facts = x509::certificate_facts(parsed.get());
      entry = {facts.subject, facts.not_after};
      const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(parsed.get());
      const auto size = static_cast<std::size_t>(ASN1_STRING_length(bits));
      index.by_public_key.emplace(as_text({ASN1_STRING_get0_data(bits), size}), entry);
    } catch (const Error&) {  // it is there all the same, and cert list says what is wrong with it
      index.by_id.emplace(as_text(there.id), entry);
    }
  }
  return index;
}

// The public half's bits; "" when the token does not have it.
std::string bits_of(const Inventory& inventory, const Key& key, Context& context) {
  try {
    return std::string(as_text(ossl::public_key_bits(tokens::public_key_of(inventory, key).get())));
  } catch (const Error& error) {  // one confused key must not hide the others
    if (error.kind() != Kind::not_found) context.warn(error.what());
    return "";
  }
}

// The certificates of a key by public key or id; the one that is valid longest speaks for it.
Row row_of(const Inventory& inventory, const CertificateIndex& index, const Key& key,
           Context& context) {
  Row row{&key, {}, {}};
  const auto take = [&](auto range) {
    for (auto entry = range.first; entry != range.second; ++entry) {
      const auto& [subject, expires] = entry->second;
      if (!row.certificate.empty() && (!expires || (row.expires && *row.expires >= *expires)))
        continue;
      row.certificate = subject;
      row.expires = expires;
    }
  };
  if (key.object_class != CKO_PRIVATE_KEY || inventory.certificates.empty()) return row;
  const std::string bits = bits_of(inventory, key, context);
  if (!bits.empty()) take(index.by_public_key.equal_range(bits));
  if (!key.id.empty()) take(index.by_id.equal_range(std::string(as_text(key.id))));
  return row;
}

// As tokens::type_name writes them: of the table, or one that hsmith does not make, such as
// rsa:1024 or ec:secp256k1; or the family alone.
bool is_key_type(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string family = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto begins = [&](const ossl::KeyType& type) {
    return type.name == text || std::string(type.name).starts_with(text + ":");
  };
  const auto is_curve_of = [&](const ossl::KeyType& type) {
    return type.group != nullptr && type.group == rest;
  };
  const auto types = ossl::key_types();
  if (std::any_of(types.begin(), types.end(), begins)) return true;
  if (std::any_of(types.begin(), types.end(), is_curve_of)) return false;  // "p256" is its name
  const bool is_number = !rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos;
  if (family == "rsa" || family == "dsa" || family == "rsa-pss") return text == family || is_number;
  if (family == "ec") return rest == "explicit" || OBJ_sn2nid(rest.c_str()) != NID_undef;
  return text == "unknown" || text == "ed448" || text == "x25519" || text == "x448";
}

// Throws usage for what no key can be: a slip of the keys is not "nothing there".
void check_filters(const Options& options) {
  if (!options.type.empty() && !is_key_type(options.type)) ossl::key_type_named(options.type);
  static const std::vector<std::string> kUses{"sign", "decrypt", "derive", "wrap", "unwrap"};
  if (options.use.empty() || contains(kUses, options.use)) return;
  const auto near = did_you_mean(options.use, kUses);
  throw Error(Kind::usage, fmt::format("--use {}: there is no such use", quoted(options.use)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : fmt::format("uses are {}", fmt::join(kUses, ", ")));
}

bool is_wanted(const Options& options, const Row& row) {
  const std::string type = tokens::type_name(*row.key);
  const bool type_fits =
      options.type.empty() || type == options.type || type.starts_with(options.type + ":");
  const std::vector<std::string> uses = split(uses_text(*row.key), ',');
  const bool use_fits =
      options.use.empty() || std::find(uses.begin(), uses.end(), options.use) != uses.end();
  const bool label_fits =
      options.label.empty() || fnmatch(options.label.c_str(), row.key->label.c_str(), 0) == 0;
  return type_fits && use_fits && label_fits &&
         !(options.without_certificate && !row.certificate.empty());
}

Json row_json(const tokens::OpenToken& token, const Row& row) {
  Json json = key_json(token, *row.key);
  if (!row.certificate.empty()) json["certificate"] = json_text(row.certificate);
  if (row.expires) json["expires"] = rfc3339(*row.expires);
  return json;
}

std::vector<std::string> row_text(const Row& row, const Json& json) {
  return {printable(row.key->label, 60),
          hex(row.key->id).substr(0, 16) + (row.key->id.size() > 8 ? "…" : ""),
          tokens::type_name(*row.key),
          uses_text(*row.key),
          json["protection"].get<std::string>(),
          row.certificate.empty() ? "-" : printable(row.certificate, 60),
          row.expires ? rfc3339(*row.expires).substr(0, 10) : "-"};
}

Outcome run(const Options& options, Context& context) {
  check_filters(options);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  // A trace is for one thread.
  Inventory inventory = tokens::take_inventory(token, context.options.trace ? 1 : options.sessions);
  const CertificateIndex index = index_certificates(inventory);
  // Tokens list their objects in any order.
  const auto by_label = [](const Key& a, const Key& b) {
    return std::tie(a.label, a.id) < std::tie(b.label, b.id);
  };
  std::sort(inventory.private_keys.begin(), inventory.private_keys.end(), by_label);
  std::sort(inventory.secret_keys.begin(), inventory.secret_keys.end(), by_label);
  Outcome outcome;
  outcome.data["token"] = tokens::token_uri(token.info);
  outcome.data["keys"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const Key& key) {
    const Row row = row_of(inventory, index, key, context);
    if (!is_wanted(options, row)) return;
    outcome.data["keys"].push_back(row_json(token, row));
    rows.push_back(row_text(row, outcome.data["keys"].back()));
  };
  for (const Key& key : inventory.private_keys) add(key);
  for (const Key& key : inventory.secret_keys) add(key);
  warn_of_broken(inventory, context);
  if (!rows.empty()) {
    outcome.text =
        table({"LABEL", "ID", "TYPE", "USE", "PROTECTION", "CERTIFICATE", "EXPIRES"}, rows);
  }
  return outcome;
}

}  // namespace

void add_key_list(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--type", options->type,
                     "Only keys of this type: rsa, rsa:2048, ec, ec:p256, …");
  command.add_option("--use", options->use, "Only keys that may do this: sign, decrypt, derive");
  command.add_option("--label", options->label,
                     "Only keys whose label fits this pattern, as in file names");
  command.add_flag("--without-certificate", options->without_certificate,
                   "Only keys that have no certificate");
  command
      .add_option("--sessions", options->sessions,
                  "Sessions that read at the same time, for devices behind a network (default 1)")
      .within(1, 64);
  command.footer(
      "Examples:\n  hsmith key list --token prod\n  hsmith key list --type rsa "
      "--without-certificate --sessions 8 --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
