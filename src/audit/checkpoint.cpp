#include "src/audit/checkpoint.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/json.h"

namespace hsmith::audit {

Bytes signed_bytes(const Checkpoint& checkpoint) {
  std::string text = "hsmith log checkpoint v1";
  text += '\0';
  text += fmt::format("{}\n{}\n{}\n{}\n", checkpoint.position.number, checkpoint.position.hash,
                      checkpoint.time, checkpoint.key_sha256);
  return to_bytes(as_bytes(text));
}

std::string format(const Checkpoint& checkpoint) {
  const Json json{{"hsmith_log_checkpoint", 1},
                  {"seq", checkpoint.position.number},
                  {"hash", checkpoint.position.hash},
                  {"time", checkpoint.time},
                  {"key_sha256", checkpoint.key_sha256},
                  {"scheme", checkpoint.scheme},
                  {"signature", hex(checkpoint.signature)}};
  return json.dump(2) + "\n";
}

Checkpoint parse_checkpoint(ByteView content, std::string_view input) {
  const auto malformed = [&](const char* why) {
    return Error(Kind::malformed, fmt::format("read {}: {}", input, why));
  };
  try {
    const Json json = parse_json(as_text(content));
    if (json.at("hsmith_log_checkpoint").get<int>() != 1)
      throw malformed("a checkpoint of another version");
    Checkpoint checkpoint{{json.at("seq").get<std::uint64_t>(), json.at("hash").get<std::string>()},
                          json.at("time").get<std::string>(),
                          json.at("key_sha256").get<std::string>(),
                          json.at("scheme").get<std::string>(),
                          {}};
    const auto signature = parse_hex(json.at("signature").get<std::string>());
    if (!signature || checkpoint.position.hash.size() != 64)
      throw malformed("hash or signature is damaged");
    checkpoint.signature = *signature;
    return checkpoint;
  } catch (const Json::exception&) {
    throw malformed("this is no checkpoint of an audit log");
  }
}

}  // namespace hsmith::audit
