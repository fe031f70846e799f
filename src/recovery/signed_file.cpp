#include "src/recovery/signed_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/sign.h"
#include "src/ossl/check.h"
#include "src/x509/kind.h"

namespace hsmith::recovery {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "hsmith agent 1";

}  // namespace

Bytes sign_file(ByteView text, const FileSigner& signer) {
  cms::Signing signing;
  signing.key = signer.key;
  signing.scheme = ossl::choose_scheme(signer.key->public_key(), "", "");
  signing.certificate = signer.certificate;
  return cms::sign(signing, cms::Placing::attached, [&](const auto& take) { take(text); });
}

SignedFile read_signed_file(ByteView content, std::string_view input) {
  auto message = cms::verify_message(content, nullptr, {}, cms::WeakDigest::accept, input);
  if (message.signatures.size() != 1 || !message.content) {
    throw Error(Kind::malformed,
                fmt::format("read {}: it has not one signer and a content", quoted(input)));
  }
  cms::Signature& signature = message.signatures.front();
  if (!signature.verifies) {
    throw Error(Kind::mismatch, fmt::format("read {}: its signature does not verify: {}",
                                            quoted(input), signature.problem));
  }
  return {std::move(*message.content), signature.signer, std::move(signature.certificate),
          std::move(message.certificates)};
}

Bytes write_agent_file(const std::string& text, const std::vector<Bytes>& macs,
                       const FileSigner* signer) {
  Json json{{"format", kFormat}, {"text", text}, {"macs", Json::array()}};
  for (const Bytes& mac : macs) json["macs"].push_back(base64(mac));
  const std::string file = json.dump();
  return signer != nullptr ? sign_file(as_bytes(file), *signer) : to_bytes(as_bytes(file));
}

AgentFile read_agent_file(ByteView content, std::string_view input) {
  AgentFile read;
  Bytes json_text = to_bytes(content);
  if (cms::looks_like_cms(content)) {
    SignedFile signed_file = read_signed_file(content, input);
    if (!signed_file.certificate) {
      throw Error(Kind::malformed,
                  fmt::format("read {}: its signer's certificate is missing", quoted(input)));
    }
    read.signer = std::move(signed_file.certificate);
    json_text = std::move(signed_file.content);
  } else if (!as_text(content).starts_with('{')) {
    x509::refuse_kind(content, quoted(input), "an agent's file");
  }
  const auto refuse = [&](std::string_view cause) {
    return Error(Kind::malformed, fmt::format("read {}: it is no agent's file: {}", quoted(input),
                                              printable(cause)));
  };
  try {
    const Json json = parse_json(as_text(json_text));
    if (json.at("format") != kFormat) throw refuse("it has another format");
    read.text = json.at("text").get<std::string>();
    for (const Json& mac : json.at("macs")) {
      auto bytes = parse_base64(mac.get<std::string>());
      if (!bytes || bytes->size() != 32) throw refuse("a MAC is none");
      read.macs.push_back(std::move(*bytes));
    }
  } catch (const Json::exception& error) {
    throw refuse(error.what());
  }
  return read;
}

Secret new_challenge() {
  Bytes number(kChallenge);
  ossl::check(RAND_bytes(number.data(), static_cast<int>(number.size())) == 1, "make a challenge");
  return Secret::take(std::move(number));
}

Bytes challenge_mac(const Secret& number, std::string_view text) {
  Bytes mac(32);
  unsigned int size = 0;
  const ByteView key = number.reveal();
  const ByteView data = as_bytes(text);
  ossl::check(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
                   mac.data(), &size) != nullptr &&
                  size == mac.size(),
              "make a MAC");
  return mac;
}

}  // namespace hsmith::recovery
