#include "src/cms/jws.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"

namespace hsmith::cms {
namespace {

using Json = nlohmann::ordered_json;
using ossl::KeyAlgorithm;
using ossl::Padding;

constexpr std::size_t kMostHeader = std::size_t{1} << 20;    // characters
constexpr std::size_t kMostEd25519 = std::size_t{64} << 20;  // as for raw signatures
constexpr std::size_t kMostChain = 20;

// RFC 7518, 3.1 and RFC 8037, 3.1. `key_type` is hsmith's name where one curve is prescribed.
struct JwsAlgorithm {
  const char* name;
  KeyAlgorithm key;
  Padding padding;
  const char* digest;    // nullptr: none
  const char* key_type;  // nullptr: any of the kind
};
constexpr std::array<JwsAlgorithm, 10> kAlgorithms{{
    {"RS256", KeyAlgorithm::rsa, Padding::pkcs1, "sha256", nullptr},
    {"RS384", KeyAlgorithm::rsa, Padding::pkcs1, "sha384", nullptr},
    {"RS512", KeyAlgorithm::rsa, Padding::pkcs1, "sha512", nullptr},
    {"PS256", KeyAlgorithm::rsa, Padding::pss, "sha256", nullptr},
    {"PS384", KeyAlgorithm::rsa, Padding::pss, "sha384", nullptr},
    {"PS512", KeyAlgorithm::rsa, Padding::pss, "sha512", nullptr},
    {"ES256", KeyAlgorithm::ec, Padding::none, "sha256", "ec:p256"},
    {"ES384", KeyAlgorithm::ec, Padding::none, "sha384", "ec:p384"},
    {"ES512", KeyAlgorithm::ec, Padding::none, "sha512", "ec:p521"},
    {"EdDSA", KeyAlgorithm::ed25519, Padding::none, nullptr, nullptr},
}};

bool fits(const JwsAlgorithm& algorithm, const EVP_PKEY* key) {
  return ossl::algorithm_of(key) == algorithm.key &&
         (algorithm.key_type == nullptr || ossl::key_type_name(key) == algorithm.key_type);
}

ossl::Scheme scheme_of(const JwsAlgorithm& algorithm) {
  return {algorithm.padding,
          algorithm.digest != nullptr ? &ossl::digest_named(algorithm.digest) : nullptr};
}

const JwsAlgorithm& algorithm_for(const EVP_PKEY* key, const ossl::Scheme& scheme) {
  for (const JwsAlgorithm& one : kAlgorithms) {
    const ossl::Scheme its = scheme_of(one);
    if (fits(one, key) && its.padding == scheme.padding && its.digest == scheme.digest) return one;
  }
  throw Error(Kind::unsupported, fmt::format("make a JWS with {} and {}: JWS has no such algorithm",
                                             ossl::key_type_name(key), ossl::describe(key, scheme)))
      .hint("leave --digest away: P-256, P-384 and P-521 go with SHA-256, SHA-384 and SHA-512");
}

// What a signature is made of: the digest of header.payload, or for Ed25519 the text itself.
class SigningInput {
 public:
  SigningInput(std::string_view header, const ossl::Scheme& scheme) {
    if (scheme.digest != nullptr) hasher_.emplace(*scheme.digest);
    take(header);
    take(".");
  }

  // A block of the payload, which goes in as base64url; in pieces, so that little is held twice.
  void add(ByteView block) {
    while (!block.empty()) {
      const ByteView piece = block.first(std::min<std::size_t>(block.size(), 48 << 10));
      block = block.subspan(piece.size());
      held_.insert(held_.end(), piece.begin(), piece.end());
      const std::size_t whole = held_.size() / 3 * 3;
      take(base64url(ByteView(held_).first(whole)));
      held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(whole));
    }
  }

  Bytes finish() {
    take(base64url(held_));
    return hasher_ ? hasher_->finish() : std::move(message_);
  }

 private:
  void take(std::string_view text) {
    if (hasher_) return hasher_->update(as_bytes(text));
    if (message_.size() + text.size() > kMostEd25519 / 3 * 4) {
      throw Error(Kind::unsupported,
                  "a JWS with Ed25519: the whole content is the message, and it is larger than "
                  "64 MiB")
          .hint("use an RSA or EC key for large files");
    }
    message_.insert(message_.end(), text.begin(), text.end());
  }

  std::optional<ossl::Hasher> hasher_;
  Bytes message_;
  Bytes held_;  // less than a group of three bytes
};

struct Jws {
  std::string_view header64, payload64;
  const JwsAlgorithm* algorithm = nullptr;
  std::vector<ossl::Certificate> chain;  // x5c
  Bytes signature;
};

[[noreturn]] void refuse(std::string_view input, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read the JWS {}: {}", quoted(input), cause));
}

// The header, with every member once (RFC 7515, 4), not nested deeply.
Json parse_header(std::string_view header64, std::string_view input) {
  const auto bytes = parse_base64url(header64);
  if (!bytes || header64.size() > kMostHeader) refuse(input, "its header is not base64url");
  std::vector<std::set<std::string>> members;
  bool sound = true;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) members.emplace_back();
    if (event == Json::parse_event_t::object_end) members.pop_back();
    if (event == Json::parse_event_t::key)
      sound &= members.back().insert(value.get<std::string>()).second;
    sound &= depth < 8;
    return sound;
  };
  Json header = Json::parse(bytes->begin(), bytes->end(), watch, false);
  if (!sound || !header.is_object()) refuse(input, "its header is no JSON object, or an odd one");
  return header;
}

std::vector<ossl::Certificate> read_x5c(const Json& header, std::string_view input) {
  std::vector<ossl::Certificate> chain;
  const auto x5c = header.find("x5c");
  if (x5c == header.end()) return chain;
  if (!x5c->is_array() || x5c->empty() || x5c->size() > kMostChain) {
    refuse(input, "its x5c is no list of certificates");
  }
  for (const Json& one : *x5c) {
    const auto der =
        one.is_string() ? parse_base64(one.get_ref<const std::string&>()) : std::optional<Bytes>();
    if (!der) refuse(input, "its x5c holds something that is not Base64");
    chain.push_back(x509::certificate_from_der(*der, "a certificate of the JWS"));
  }
  const auto hash = header.find("x5t#S256");
  const Bytes wanted =
      ossl::digest(ossl::digest_named("sha256"), x509::certificate_der(chain.front().get()));
  if (hash != header.end() && (!hash->is_string() || *hash != base64url(wanted))) {
    refuse(input, "its x5t#S256 is not the hash of its certificate");
  }
  return chain;
}

const JwsAlgorithm& read_algorithm(const Json& header, std::string_view input) {
  const auto alg = header.find("alg");
  if (alg == header.end() || !alg->is_string()) refuse(input, "its header names no algorithm");
  const std::string& name = alg->get_ref<const std::string&>();
  const auto known = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                  [&](const JwsAlgorithm& one) { return name == one.name; });
  if (known != kAlgorithms.end()) return *known;
  throw Error(
      Kind::unsupported,
      fmt::format("verify the JWS {}: its algorithm {} is no signature that hsmith verifies",
                  quoted(input), quoted(std::string_view(name))));
}

// A line end after it is not part of it.
std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

Jws parse_jws(std::string_view text, std::string_view input) {
  text = without_line_end(text);
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos) refuse(input, "it has not three parts");
  Jws jws;
  jws.header64 = text.substr(0, first);
  jws.payload64 = text.substr(first + 1, second - first - 1);
  const Json header = parse_header(jws.header64, input);
  if (header.contains("crit") || header.contains("b64")) {
    throw Error(Kind::unsupported,
                fmt::format("verify the JWS {}: it demands an extension (crit) that hsmith has not",
                            quoted(input)));
  }
  jws.algorithm = &read_algorithm(header, input);
  jws.chain = read_x5c(header, input);
  auto signature = parse_base64url(text.substr(second + 1));
  if (!signature || signature->empty()) refuse(input, "its signature is not base64url");
  jws.signature = std::move(*signature);
  return jws;
}

// RFC 7518, 3.4: ECDSA as r || s.
bool verifies(const Jws& jws, EVP_PKEY* key, ByteView input) {
  const ossl::Scheme scheme = scheme_of(*jws.algorithm);
  if (jws.algorithm->key != KeyAlgorithm::ec) {
    return ossl::verify(key, scheme, input, jws.signature);
  }
  try {
    return ossl::verify(key, scheme, input, ossl::ecdsa_der_from_raw(key, jws.signature));
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    return false;
  }
}

Signature verdict_of(const Jws& jws, EVP_PKEY* key, ByteView input) {
  Signature result;
  result.signer = "the holder of the key";
  if (!jws.chain.empty()) {
    X509* certificate = jws.chain.front().get();
    result.certificate = ossl::share(certificate);
    result.signer = x509::name_text(X509_get_subject_name(certificate));
    if (key == nullptr) key = x509::public_key_of(certificate);
  }
  if (key == nullptr) {
    result.problem = "its certificate is not in the message";
    return result;
  }
  if (!fits(*jws.algorithm, key)) {
    result.problem = fmt::format("its algorithm {} does not go with a key of the type {}",
                                 jws.algorithm->name, ossl::key_type_name(key));
    return result;
  }
  result.scheme = ossl::describe(key, scheme_of(*jws.algorithm));
  result.verifies = verifies(jws, key, input);
  if (!result.verifies) result.problem = "it is not a signature of this content by this key";
  return result;
}

std::string header_of(const Signing& signing, const JwsAlgorithm& algorithm) {
  const Bytes der = x509::certificate_der(signing.certificate);
  Json header{{"alg", algorithm.name}, {"x5c", Json::array({base64(der)})}};
  for (const ossl::Certificate& one : signing.chain) {
    header["x5c"].push_back(base64(x509::certificate_der(one.get())));
  }
  header["x5t#S256"] = base64url(ossl::digest(ossl::digest_named("sha256"), der));
  return base64url(as_bytes(header.dump()));
}

}  // namespace

bool begins_like_jws(ByteView start) {
  const std::string_view text = without_line_end(as_text(start));
  // base64url of '{' and whatever may follow it.
  if (!text.starts_with("ey") && !text.starts_with("ew") && !text.starts_with("ex")) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.';
  });
}

bool looks_like_jws(ByteView content) {
  return begins_like_jws(content) && std::count(content.begin(), content.end(), '.') == 2;
}

std::string make_jws(const Signing& signing, Placing placing, const Content& content) {
  const EVP_PKEY* key = signing.key->public_key();
  const JwsAlgorithm& algorithm = algorithm_for(key, signing.scheme);
  const std::string header64 = header_of(signing, algorithm);
  SigningInput input(header64, signing.scheme);
  Bytes payload;
  content([&](ByteView block) {
    input.add(block);
    if (placing == Placing::detached) return;
    if (block.size() > kMostContent - payload.size()) {
      throw Error(Kind::unsupported, "make a JWS: a content larger than 512 MiB is not put into it")
          .hint("use --detached");
    }
    payload.insert(payload.end(), block.begin(), block.end());
  });
  const Bytes to_sign = input.finish();
  Bytes signature = signing.key->sign(signing.scheme, to_sign);
  if (algorithm.key == KeyAlgorithm::ec) signature = ossl::ecdsa_raw_from_der(key, signature);
  std::string text = header64 + '.' + base64url(payload) + '.' + base64url(signature);
  const Jws made = parse_jws(text, "just made");
  const bool same = made.chain.size() == 1 + signing.chain.size() &&
                    x509::same_certificate(made.chain.front().get(), signing.certificate);
  if (!same || !verdict_of(made, nullptr, to_sign).verifies) {
    throw Error(Kind::token_failed, "make a JWS: it does not verify; it was not given out");
  }
  return text;
}

VerifiedMessage verify_jws(ByteView text, const Content* detached, EVP_PKEY* key,
                           std::string_view input) {
  Jws jws = parse_jws(as_text(text), input);
  SigningInput signing_input(jws.header64, scheme_of(*jws.algorithm));
  VerifiedMessage message;
  if (!jws.payload64.empty()) {
    message.content = parse_base64url(jws.payload64);
    if (!message.content) refuse(input, "its content is not base64url");
    if (message.content->size() > kMostContent) {
      throw Error(Kind::unsupported,
                  fmt::format("verify {}: a content that is larger than 512 MiB is not held in "
                              "memory",
                              quoted(input)));
    }
    signing_input.add(*message.content);
  } else if (detached != nullptr) {
    (*detached)([&](ByteView block) { signing_input.add(block); });
  }
  message.signatures.push_back(verdict_of(jws, key, signing_input.finish()));
  message.certificates = std::move(jws.chain);
  if (message.content || detached != nullptr) return message;
  // Nothing in the middle: it holds an empty content, or none.
  if (message.signatures.front().verifies) {
    message.content.emplace();
    return message;
  }
  throw Error(Kind::usage,
              fmt::format("verify {}: the JWS does not hold what was signed", quoted(input)))
      .hint("name the signed file after it");
}

}  // namespace hsmith::cms
