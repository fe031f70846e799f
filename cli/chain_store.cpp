#include "cli/chain_store.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/name.h"
#include "tokens/matching.h"
#include "tokens/quirks.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(ChainPlace place, const Context& context) {
  const fs::path folder = context.environment.state_folder / "chains";
  return place == ChainPlace::retired ? folder / "retired" : folder;
}

ChainCertificate described(ossl::Certificate certificate, ChainPlace place, std::string name) {
  ChainCertificate described;
  described.facts = x509::certificate_facts(certificate.get());
  described.certificate = std::move(certificate);
  described.place = place;
  described.name = std::move(name);
  return described;
}

void add_from_folder(ChainPlace place, std::vector<ChainCertificate>& all, Context& context) {
  std::error_code absent;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder_of(place, context), absent)) {
    if (entry.path().extension() == ".crt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    try {
      const std::string name = file.string();
      all.push_back(described(x509::read_certificate(read_file(name), quoted(name)), place, name));
      ChainCertificate& added = all.back();
      added.object.label = x509::last_value(X509_get_subject_name(added.certificate.get()), "CN");
      added.object.id = ossl::key_identifier(x509::public_key_of(added.certificate.get()));
    } catch (const Error& error) {
      context.warn(fmt::format("a certificate in the state folder: {}", error.what()));
    }
  }
}

// Writes it, reads it back and gives its path.
fs::path keep_in_state(X509* certificate, ChainPlace place, const Context& context) {
  const fs::path folder = folder_of(place, context);
  const fs::path file = folder / (x509::certificate_sha256(certificate) + ".crt");
  make_private_folder(folder);
  write_file(file, as_bytes(x509::certificate_pem(certificate)), kPrivateFile, Replace::yes);
  const ossl::Certificate kept = x509::read_certificate(read_file(file), quoted(file.string()));
  if (x509::same_certificate(kept.get(), certificate)) return file;
  throw Error(Kind::io, fmt::format("keep a certificate in {}: it was read back otherwise",
                                    quoted(file.string())));
}

bool has_key_here(const tokens::Inventory& inventory, X509* certificate) {
  EVP_PKEY* certified = X509_get0_pubkey(certificate);
  return certified != nullptr && !tokens::keys_with(inventory, certified).empty();
}

[[noreturn]] void refuse_choice(const std::vector<const ChainCertificate*>& hits,
                                const std::vector<ChainCertificate>& all,
                                const std::string& argument) {
  std::vector<std::string> candidates;
  if (hits.empty()) {
    for (const ChainCertificate& one : all) candidates.push_back(one.name);
    throw Error(
        Kind::not_found,
        fmt::format("find {} among the certificates of chains: none matches", quoted(argument)))
        .hint("see them with: hsmith chain list")
        .candidates(std::move(candidates));
  }
  for (const ChainCertificate* one : hits)
    candidates.push_back(fmt::format("sha256:{} ({})", one->facts.sha256, one->name));
  throw Error(Kind::ambiguous, fmt::format("find {} among the certificates of chains: {} match",
                                           quoted(argument), hits.size()))
      .hint("name one by its fingerprint: sha256:HEX")
      .candidates(std::move(candidates));
}

}  // namespace

const char* place_name(ChainPlace place) {
  switch (place) {
    case ChainPlace::token:
      return "token";
    case ChainPlace::state:
      return "state";
    case ChainPlace::retired:
      break;
  }
  return "retired";
}

std::vector<ChainCertificate> chain_certificates(const tokens::Inventory& inventory,
                                                 Context& context) {
  std::vector<ChainCertificate> all;
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    try {
      ChainCertificate one =
          described(x509::certificate_from_der(there.der, there.uri), ChainPlace::token, there.uri);
      if (!one.facts.is_ca || has_key_here(inventory, one.certificate.get())) continue;
      one.object = there;
      all.push_back(std::move(one));
    } catch (const Error& error) {
      context.warn(fmt::format("a certificate on the token cannot be read: {}", error.what()));
    }
  }
  add_from_folder(ChainPlace::state, all, context);
  add_from_folder(ChainPlace::retired, all, context);
  return all;
}

std::vector<ossl::Certificate> chain_pool(const tokens::Inventory& inventory, Context& context) {
  std::vector<ossl::Certificate> pool;
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    try {
      pool.push_back(x509::certificate_from_der(there.der, there.uri));
    } catch (const Error&) {  // what cannot be read is no link of a chain
    }
  }
  std::vector<ChainCertificate> kept;
  add_from_folder(ChainPlace::state, kept, context);
  for (ChainCertificate& one : kept) pool.push_back(std::move(one.certificate));
  return pool;
}

const ChainCertificate& find_chain_certificate(const std::vector<ChainCertificate>& all,
                                               const std::string& argument) {
  const std::string fingerprint =
      argument.starts_with("sha256:") ? lower(std::string_view(argument).substr(7)) : "";
  const tokens::Meaning meaning = tokens::meaning_of(argument);
  ossl::Certificate file;
  if (fingerprint.empty() && meaning != tokens::Meaning::object) {
    const std::string path = tokens::file_path(argument);
    if (meaning == tokens::Meaning::file || fs::exists(path))
      file = x509::read_certificate(read_file(path), quoted(path));
  }
  std::optional<tokens::Selector> selector;
  if (fingerprint.empty() && meaning != tokens::Meaning::file)
    selector = tokens::parse_selector(argument);
  std::vector<const ChainCertificate*> hits;
  for (const ChainCertificate& one : all) {
    const bool by_print = fingerprint.size() >= 8 && one.facts.sha256.starts_with(fingerprint);
    const bool by_file = file && x509::same_certificate(file.get(), one.certificate.get());
    const bool by_name = selector && (!selector->label || *selector->label == one.object.label) &&
                         (!selector->id || *selector->id == one.object.id);
    if (by_print || by_file || by_name) hits.push_back(&one);
  }
  if (hits.size() != 1) refuse_choice(hits, all, argument);
  return *hits.front();
}

std::string chain_label(X509* certificate, const std::set<std::string>& taken) {
  const std::string fingerprint = x509::certificate_sha256(certificate).substr(0, 8);
  const auto name_in = [](const X509_NAME* name) {
    const std::string common = x509::last_value(name, "CN");
    return common.empty() ? x509::last_value(name, "O") : common;
  };
  const std::string own = name_in(X509_get_subject_name(certificate));
  const std::string by = fmt::format("{} by {}", own, name_in(X509_get_issuer_name(certificate)));
  for (const std::string& label : {own, by, fmt::format("{} {}", own, fingerprint)}) {
    if (taken.contains(label)) continue;
    try {
      tokens::check_new_label(label);
      return label;
    } catch (const Error&) {  // a name that could not be named on a command line
    }
  }
  return "authority " + fingerprint;
}

ChainKept put_chain_certificate(const tokens::OpenToken& token, X509* certificate,
                                const std::string& label, const Bytes& id, Context& context) {
  const std::string uri = tokens::object_uri(token, label, id, tokens::ObjectType::cert);
  try {
    if (tokens::token_quirks(token.info).has_places())  // one for the certificate of each key
      throw Error(Kind::token_full, "the token has places for the certificates of its keys only");
    tokens::install_beside_no_key(token, tokens::take_inventory(token), label, id, certificate);
    return {ChainPlace::token, uri};
  } catch (const Error& error) {
    if (error.kind() != Kind::token_full || error.is_unfinished()) throw;
    const fs::path file = keep_in_state(certificate, ChainPlace::state, context);
    context.warn(fmt::format("the token {} has no room for {}: it is kept in the state folder, {}",
                             quoted(token.info.label), quoted(label), quoted(file.string())));
    return {ChainPlace::state, file.string()};
  }
}

void remove_chain_certificate(const tokens::OpenToken& token, const ChainCertificate& certificate) {
  if (certificate.place == ChainPlace::token) return tokens::destroy(token, certificate.object);
  std::error_code failed;
  fs::remove(certificate.name, failed);
  if (failed) {
    throw Error(Kind::io, fmt::format("remove {}: {}", quoted(certificate.name), failed.message()));
  }
  sync_folder(fs::path(certificate.name).parent_path());
}

void retire_chain_certificate(const tokens::OpenToken& token, const ChainCertificate& certificate,
                              const Context& context) {
  keep_in_state(certificate.certificate.get(), ChainPlace::retired, context);
  remove_chain_certificate(token, certificate);
}

}  // namespace hsmith::cli
