#include "src/recovery/rekey_files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExport = "hsmith archive rekey export 1";
constexpr const char* kAnswer = "hsmith archive rekey wrap 1";

Bytes bytes_of(const Json& json) {
  auto bytes = parse_base64(json.get<std::string>());
  if (!bytes) throw Error(Kind::malformed, "a value is not Base64");
  return std::move(*bytes);
}

Bytes hash_of(const Json& json) {
  Bytes hash = bytes_of(json);
  if (hash.size() != 32) throw Error(Kind::malformed, "a hash is none");
  return hash;
}

std::int64_t number_of(const Json& json) {
  if (!json.is_number_integer()) throw Error(Kind::malformed, "a key has no number");
  return json.get<std::int64_t>();
}

// Runs `read` on a file's JSON, which must be of this format.
template <typename Read>
auto parsed(ByteView text, std::string_view input, const char* format, Read read) {
  const auto refuse = [&](const std::string& cause) {
    return Error(Kind::malformed, fmt::format("read {}: {}", quoted(input), cause));
  };
  try {
    const Json json = parse_json(as_text(text));
    if (json.at("format") != format)
      throw refuse(fmt::format("it is not of the format \"{}\"", format));
    return read(json);
  } catch (const Json::exception& error) {
    throw refuse(
        fmt::format("it is not of the format \"{}\": {}", format, printable(error.what())));
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    throw refuse(error.what());
  }
}

void check_count(const Json& keys) {
  if (keys.size() > kMostRekeyed) throw Error(Kind::malformed, "it has too many keys");
}

Json encrypted_json(const EncryptedKey& key) {
  return {{"ability", key.ability}, {"encrypted", base64(key.encrypted)}};
}

EncryptedKey encrypted_of(const Json& json) {
  return {json.at("ability").get<std::string>(), bytes_of(json.at("encrypted"))};
}

std::string certificate_text(X509* certificate) {
  return base64(x509::certificate_der(certificate));
}

ossl::Certificate certificate_of(const Json& json) {
  return x509::certificate_from_der(bytes_of(json), "an agent's certificate");
}

Json key_json(const ExportedKey& key) {
  Json json{{"id", key.id},
            {"content", base64(key.content)},
            {"content_key", encrypted_json(key.content_key)},
            {"cipher", base64(key.cipher)},
            {"first_block", base64(key.first_block)},
            {"openings", Json::array()}};
  for (const Bytes& opening : key.openings) json["openings"].push_back(base64(opening));
  return json;
}

ExportedKey exported_key_of(const Json& json) {
  ExportedKey key{number_of(json.at("id")),
                  hash_of(json.at("content")),
                  encrypted_of(json.at("content_key")),
                  bytes_of(json.at("cipher")),
                  bytes_of(json.at("first_block")),
                  {}};
  for (const Json& opening : json.at("openings")) key.openings.push_back(bytes_of(opening));
  return key;
}

}  // namespace

std::string rekey_export_text(const RekeyExport& exported) {
  Json json{{"format", kExport},
            {"archive", exported.archive},
            {"from", certificate_text(exported.from.get())},
            {"to", Json::array()},
            {"challenge", encrypted_json(exported.challenge)},
            {"keys", Json::array()}};
  for (const NewAgent& agent : exported.to) {
    json["to"].push_back(
        {{"certificate", certificate_text(agent.certificate.get())}, {"ability", agent.ability}});
  }
  for (const ExportedKey& key : exported.keys) json["keys"].push_back(key_json(key));
  return json.dump();
}

RekeyExport read_rekey_export(ByteView text, std::string_view input) {
  return parsed(text, input, kExport, [](const Json& json) {
    check_count(json.at("keys"));
    RekeyExport exported;
    exported.archive = json.at("archive").get<std::string>();
    exported.from = certificate_of(json.at("from"));
    for (const Json& agent : json.at("to")) {
      exported.to.push_back(
          {certificate_of(agent.at("certificate")), agent.at("ability").get<std::string>()});
    }
    exported.challenge = encrypted_of(json.at("challenge"));
    for (const Json& key : json.at("keys")) exported.keys.push_back(exported_key_of(key));
    return exported;
  });
}

std::string rekey_answer_text(const RekeyAnswer& answer) {
  Json json{{"format", kAnswer}, {"export", base64(answer.exported)}, {"keys", Json::array()}};
  for (const WrappedKey& key : answer.keys) {
    json["keys"].push_back(
        {{"id", key.id}, {"to", base64(key.to)}, {"content_key", encrypted_json(key.content_key)}});
  }
  return json.dump();
}

RekeyAnswer read_rekey_answer(ByteView text, std::string_view input) {
  return parsed(text, input, kAnswer, [](const Json& json) {
    RekeyAnswer answer;
    answer.exported = bytes_of(json.at("export"));
    for (const Json& key : json.at("keys")) {
      answer.keys.push_back(
          {number_of(key.at("id")), hash_of(key.at("to")), encrypted_of(key.at("content_key"))});
    }
    return answer;
  });
}

}  // namespace hsmith::recovery
