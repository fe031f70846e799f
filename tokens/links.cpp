#include "tokens/links.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>

#include "src/base/error.h"
#include "tokens/certificates.h"
#include "tokens/matching.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {
namespace {

constexpr int kMostTrials = 20;  // of one private key

// A public key or a certificate, with the public key that it shows.
struct Shown {
  const Key* public_key = nullptr;
  const TokenCertificate* certificate = nullptr;
  ossl::PKey half;  // null when it cannot be read
  bool is_authority = false;

  const std::string& uri() const { return public_key ? public_key->uri : certificate->uri; }
  const std::string& label() const { return public_key ? public_key->label : certificate->label; }
};

std::vector<Shown> shown_by(const Inventory& inventory) {
  std::vector<Shown> all;
  for (const Key& key : inventory.public_keys) {
    Shown one;
    one.public_key = &key;
    if (key.public_key) one.half = ossl::share(key.public_key.get());
    all.push_back(std::move(one));
  }
  for (const TokenCertificate& certificate : inventory.certificates) {
    Shown one;
    one.certificate = &certificate;
    const unsigned char* start = certificate.der.data();
    const ossl::Certificate parsed(
        d2i_X509(nullptr, &start, static_cast<long>(certificate.der.size())));
    EVP_PKEY* key = parsed ? X509_get0_pubkey(parsed.get()) : nullptr;
    if (key != nullptr) one.half = ossl::share(key);
    one.is_authority = parsed && X509_check_ca(parsed.get()) == 1;
    all.push_back(std::move(one));
  }
  return all;
}

bool is_half(const ossl::PKey& a, const ossl::PKey& b) {
  return a && b && ossl::same_public_key(a.get(), b.get());
}

// nullopt where the token cannot try it.
std::optional<bool> is_proved(const OpenToken& token, const Key& key, EVP_PKEY* half) {
  try {
    return holds_private_half(token, key, half);
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
    return std::nullopt;
  }
}

// The public half that the private key shows, or that its neighbours by id show and it proves; null
// when they do not, or show several. Where it cannot be tried, that of neighbours without a doubt.
ossl::PKey shown_half(const OpenToken& token, const Inventory& inventory, const Key& key) {
  ossl::PKey half;
  try {
    half = public_key_of(inventory, key);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found && error.kind() != Kind::mismatch) throw;
    return nullptr;
  }
  if (key.public_key) return half;
  const bool holds = is_proved(token, key, half.get()).value_or(!has_doubtful_half(inventory, key));
  return holds ? std::move(half) : nullptr;
}

ossl::PKey proved_half(const OpenToken& token, const Key& key, const std::vector<Shown>& shown,
                       const std::vector<Links>& known) {
  int trials = 0;
  for (const Shown& one : shown) {
    const bool has_partner = std::any_of(known.begin(), known.end(), [&](const Links& links) {
      return is_half(links.public_half, one.half);
    });
    if (has_partner || !one.half || ++trials > kMostTrials) continue;
    if (is_proved(token, key, one.half.get()) == true) return ossl::share(one.half.get());
  }
  return nullptr;
}

bool is_earlier(const std::string& label, const std::string& of) {
  return label.size() > of.size() + 1 && label.starts_with(of + "@") &&
         std::all_of(label.begin() + static_cast<ptrdiff_t>(of.size()) + 1, label.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

void find_misfits(Links& links, const std::vector<Shown>& shown, bool has_rivals) {
  std::string label = links.key.label;
  for (const Shown& one : shown) {
    if (label.empty() && is_half(links.public_half, one.half)) label = one.label();
  }
  const Bytes id =
      links.key.id.empty() ? ossl::key_identifier(links.public_half.get()) : links.key.id;
  if (links.key.label != label || links.key.id != id) {
    links.misfits.push_back({links.key.handle, CKO_PRIVATE_KEY, links.key.uri, label, id, {}});
  }
  for (const Shown& one : shown) {
    if (!is_half(links.public_half, one.half)) continue;
    const bool is_rival = has_rivals && one.certificate && !one.label().empty();
    const std::string wanted = is_rival || is_earlier(one.label(), label) ? one.label() : label;
    const Bytes& its_id = one.public_key ? one.public_key->id : one.certificate->id;
    if (its_id == id && one.label() == wanted) continue;
    if (one.public_key) {
      links.misfits.push_back({one.public_key->handle, CKO_PUBLIC_KEY, one.uri(), wanted, id, {}});
    } else {
      links.misfits.push_back(
          {one.certificate->handle, CKO_CERTIFICATE, one.uri(), wanted, id, one.certificate->der});
    }
  }
}

// Keys that are there twice leave `keys`: which of them the rest belongs to, nobody knows.
void take_out_twins(LinkSurvey& survey) {
  std::vector<Links> single;
  while (!survey.keys.empty()) {
    Links first = std::move(survey.keys.front());
    survey.keys.erase(survey.keys.begin());
    Stray twins{"private keys with one public key", {first.key.uri}};
    std::erase_if(survey.keys, [&](const Links& other) {
      if (!is_half(first.public_half, other.public_half)) return false;
      twins.uris.push_back(other.key.uri);
      return true;
    });
    if (twins.uris.size() > 1) {
      survey.duplicates.push_back(std::move(twins));
    } else {
      single.push_back(std::move(first));
    }
  }
  survey.keys = std::move(single);
}

void find_copies(const Inventory& inventory, const std::vector<Shown>& shown, LinkSurvey& survey) {
  std::map<Bytes, std::vector<std::string>> by_content;
  for (const TokenCertificate& one : inventory.certificates) by_content[one.der].push_back(one.uri);
  for (auto& [der, uris] : by_content) {
    if (uris.size() > 1)
      survey.duplicates.push_back({"copies of one certificate", std::move(uris)});
  }
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (!shown[i].public_key) continue;
    Stray copies{"copies of one public key", {shown[i].uri()}};
    bool first = true;
    for (std::size_t j = 0; j < shown.size(); ++j) {
      if (j == i || !shown[j].public_key || !is_half(shown[i].half, shown[j].half)) continue;
      if (j < i) first = false;
      copies.uris.push_back(shown[j].uri());
    }
    if (first && copies.uris.size() > 1) survey.duplicates.push_back(std::move(copies));
  }
}

// Several certificates of one key, but for those before its renewals. True when there are: their
// labels, which tell them apart, stay.
bool find_rivals(const Links& links, const std::vector<Shown>& shown, LinkSurvey& survey) {
  Stray rivals{"several certificates of one key", {}};
  std::set<Bytes> contents;
  for (const Shown& one : shown) {
    if (!one.certificate || !is_half(links.public_half, one.half)) continue;
    if (is_earlier(one.label(), links.key.label)) continue;
    if (contents.insert(one.certificate->der).second) rivals.uris.push_back(one.uri());
  }
  const bool are_several = rivals.uris.size() > 1;
  if (are_several) survey.duplicates.push_back(std::move(rivals));
  return are_several;
}

// `keys` are those whose public half is known.
void find_orphans(const std::vector<Shown>& shown, const std::vector<Links>& keys,
                  LinkSurvey& survey) {
  for (const Shown& one : shown) {
    const Bytes& id = one.public_key ? one.public_key->id : one.certificate->id;
    const bool has_key = std::any_of(keys.begin(), keys.end(), [&](const Links& links) {
      return is_half(links.public_half, one.half);
    });
    const bool has_id = std::any_of(keys.begin(), keys.end(), [&](const Links& links) {
      return !id.empty() && links.key.id == id;
    });
    // An authority's certificate is there for chains.
    if (has_key || (one.is_authority && !has_id)) continue;
    const char* what = !one.half        ? "its public key cannot be read"
                       : has_id         ? "it has a key's id, and another public key"
                       : one.public_key ? "public key without its private key"
                                        : "certificate without a key here";
    survey.orphans.push_back({what, {one.uri()}});
  }
}

void change(const OpenToken& token, const Misfit& misfit) {
  pkcs11::Template wanted;
  wanted.set_text(CKA_LABEL, misfit.label).set(CKA_ID, misfit.id);
  token.session->set(misfit.handle, wanted);
  static constexpr CK_ATTRIBUTE_TYPE kNames[] = {CKA_LABEL, CKA_ID};
  const auto now = token.session->get(misfit.handle, kNames);
  if (now.text(CKA_LABEL) != misfit.label || now.bytes(CKA_ID) != misfit.id)
    throw Error(Kind::token_failed, "the token kept the old label or id");
}

bool may_not_change(const Error& error) {
  return error.ckr() == "CKR_ATTRIBUTE_READ_ONLY" || error.ckr() == "CKR_ACTION_PROHIBITED" ||
         error.ckr() == "CKR_ATTRIBUTE_TYPE_INVALID";
}

void replace_certificate(const OpenToken& token, const Misfit& misfit) {
  const unsigned char* start = misfit.der.data();
  const ossl::Certificate certificate(
      d2i_X509(nullptr, &start, static_cast<long>(misfit.der.size())));
  install_beside_no_key(token, take_inventory(token), misfit.label, misfit.id, certificate.get());
  token.session->destroy(misfit.handle);
}

}  // namespace

LinkSurvey survey_links(const OpenToken& token, const Inventory& inventory) {
  const std::vector<Shown> shown = shown_by(inventory);
  LinkSurvey survey;
  std::vector<const Key*> hidden;
  for (const Key& key : inventory.private_keys) {
    ossl::PKey half = shown_half(token, inventory, key);
    if (half) {
      survey.keys.push_back({key, std::move(half), {}});
    } else {
      hidden.push_back(&key);
    }
  }
  for (const Key* key : hidden) {
    ossl::PKey half = proved_half(token, *key, shown, survey.keys);
    if (half) {
      survey.keys.push_back({*key, std::move(half), {}});
    } else {
      survey.orphans.push_back({"private key without its public half", {key->uri}});
    }
  }
  find_orphans(shown, survey.keys, survey);
  take_out_twins(survey);
  find_copies(inventory, shown, survey);
  // Where the token gives labels and ids itself, nobody can give them others.
  if (token_quirks(token.info).fixed_labels) return survey;
  for (Links& links : survey.keys) {
    find_misfits(links, shown, find_rivals(links, shown, survey));
  }
  return survey;
}

void relink(const OpenToken& token, const Links& links) {
  bool begun = false;
  for (const Misfit& misfit : links.misfits) {
    try {
      try {
        change(token, misfit);
      } catch (const Error& error) {
        if (misfit.der.empty() || !may_not_change(error)) throw;
        begun = true;
        replace_certificate(token, misfit);
      }
      begun = true;
    } catch (const Error& error) {
      const Error told = error.during("link " + misfit.uri);
      if (!begun && error.kind() == Kind::unsupported) throw told;
      throw Error(told).unfinished();
    }
  }
}

}  // namespace hsmith::tokens
