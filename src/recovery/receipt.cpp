#include "src/recovery/receipt.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "hsmith recovery receipt 1";

Bytes hash_of(const Json& json) {
  const auto hash = parse_hex(json.get<std::string>());
  if (!hash || hash->size() != 32) throw Error(Kind::malformed, "a hash is none");
  return *hash;
}

Receipt receipt_of(const Json& json) {
  if (json.at("format") != kFormat) throw Error(Kind::malformed, "it has another format");
  Receipt receipt;
  receipt.time = json.at("time").get<std::string>();
  receipt.agent = hash_of(json.at("agent"));
  receipt.token = json.at("token").get<std::string>();
  receipt.to = json.at("to").get<std::string>();
  for (const Json& entry : json.at("keys")) {
    receipt.entries.push_back({hash_of(entry.at("blob")), hash_of(entry.at("certificate")),
                               entry.at("subject").get<std::string>(),
                               entry.at("serial").get<std::string>()});
  }
  if (receipt.entries.empty()) throw Error(Kind::malformed, "it names no key");
  return receipt;
}

Secret challenge_number(const Envelope& challenge, const cms::Recipient& recipient,
                        ossl::RemoteKey& key) {
  Secret number = open_envelope(challenge, recipient, key, "the blob's challenge");
  if (number.size() == kChallenge) return number;
  throw Error(Kind::mismatch, "open the blob's challenge: what comes out is not its number");
}

}  // namespace

std::string receipt_text(const Receipt& receipt) {
  Json json{{"format", kFormat},      {"time", receipt.time}, {"agent", hex(receipt.agent)},
            {"token", receipt.token}, {"to", receipt.to},     {"keys", Json::array()}};
  for (const ReceiptEntry& entry : receipt.entries) {
    json["keys"].push_back({{"blob", hex(entry.blob)},
                            {"certificate", hex(entry.certificate)},
                            {"subject", entry.subject},
                            {"serial", entry.serial}});
  }
  return json.dump();
}

Receipt read_receipt(ByteView text, std::string_view input) {
  const auto refuse = [&](std::string_view cause) {
    return Error(Kind::malformed,
                 fmt::format("read {}: it is no receipt: {}", quoted(input), printable(cause)));
  };
  try {
    return receipt_of(parse_json(as_text(text)));
  } catch (const Json::exception& error) {
    throw refuse(error.what());
  } catch (const Error& error) {
    throw refuse(error.what());
  }
}

ReceiptEntry receipt_entry(const RecoveryBlob& blob) {
  const auto facts = x509::certificate_facts(blob.user.get());
  return {blob.sha256, sha256_of(x509::certificate_der(blob.user.get())), printable(facts.subject),
          facts.serial};
}

Bytes receipt_mac(const RecoveryBlob& blob, X509* agent, ossl::RemoteKey& key,
                  std::string_view text) {
  if (!blob.challenge) return {};
  std::optional<Error> failed;
  for (const cms::Recipient& recipient : blob.challenge->data.recipients) {
    if (!cms::names(recipient.name, agent)) continue;
    try {
      return challenge_mac(challenge_number(*blob.challenge, recipient, key), text);
    } catch (const Error& error) {
      // Another agent of the same issuer and serial number may be meant.
      if (error.kind() != Kind::decryption_failed && error.kind() != Kind::mismatch) throw;
      failed = error;
    }
  }
  if (failed) throw Error(*failed);
  return {};
}

}  // namespace hsmith::recovery
