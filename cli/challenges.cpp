#include "cli/challenges.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/archive.h"
#include "src/recovery/signed_file.h"

namespace hsmith::cli {
namespace {

std::filesystem::path place_of(const Context& context, ByteView file_sha256) {
  return context.environment.state_folder / "challenges" / hex(file_sha256);
}

constexpr std::size_t kHash = 32;
constexpr std::size_t kMost = 65536;

// The number, and after it the facts: hashes. nullopt when none was kept.
std::optional<Secret> kept_challenge(const Context& context, ByteView file_sha256) {
  const auto place = place_of(context, file_sha256);
  if (!std::filesystem::exists(place)) return std::nullopt;
  Secret content = Secret::take(read_file(place.string(), kMost));
  if (content.size() >= recovery::kChallenge &&
      (content.size() - recovery::kChallenge) % kHash == 0)
    return content;
  throw Error(Kind::malformed,
              fmt::format("read the challenge {}: it is cut short", quoted(place.string())));
}

void append(Bytes& content, ByteView more) {
  content.insert(content.end(), more.begin(), more.end());
}

}  // namespace

void keep_challenge(const Context& context, ByteView file, const Secret& number,
                    const ChallengeFacts& facts) {
  const auto place = place_of(context, recovery::sha256_of(file));
  make_private_folder(place.parent_path());
  Bytes content;
  content.reserve(number.size() +
                  (1 + facts.agents.size()) * kHash);  // so that no copy stays behind
  append(content, number.reveal());
  append(content, facts.about);
  for (const Bytes& agent : facts.agents) append(content, agent);
  const Secret kept = Secret::take(std::move(content));
  write_file(place.string(), kept.reveal(), kPrivateFile, Replace::yes);
}

ChallengeFacts challenge_facts(const Context& context, ByteView file_sha256) {
  ChallengeFacts facts;
  const auto kept = kept_challenge(context, file_sha256);
  if (!kept || kept->size() == recovery::kChallenge) return facts;
  ByteView rest = kept->reveal().subspan(recovery::kChallenge);
  facts.about = to_bytes(rest.first(kHash));
  for (rest = rest.subspan(kHash); !rest.empty(); rest = rest.subspan(kHash))
    facts.agents.push_back(to_bytes(rest.first(kHash)));
  return facts;
}

bool answers_challenge(const Context& context, ByteView file_sha256, std::string_view text,
                       ByteView mac) {
  const auto kept = kept_challenge(context, file_sha256);
  if (!kept) return false;
  const Secret number(kept->reveal().first(recovery::kChallenge));
  const Bytes expected = recovery::challenge_mac(number, text);
  return mac.size() == expected.size() &&
         CRYPTO_memcmp(mac.data(), expected.data(), mac.size()) == 0;
}

}  // namespace hsmith::cli
