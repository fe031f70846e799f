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

// The number, and what it is about; nullopt when none was kept.
std::optional<Secret> kept_challenge(const Context& context, ByteView file_sha256) {
  const auto place = place_of(context, file_sha256);
  if (!std::filesystem::exists(place)) return std::nullopt;
  Secret content = Secret::take(read_file(place.string(), 4096));
  if (content.size() >= recovery::kChallenge) return content;
  throw Error(Kind::malformed,
              fmt::format("read the challenge {}: it is cut short", quoted(place.string())));
}

}  // namespace

void keep_challenge(const Context& context, ByteView file, const Secret& number, ByteView about) {
  const auto place = place_of(context, recovery::sha256_of(file));
  make_private_folder(place.parent_path());
  const ByteView digits = number.reveal();
  Bytes content;
  content.reserve(digits.size() + about.size());  // so that no copy stays behind
  content.insert(content.end(), digits.begin(), digits.end());
  content.insert(content.end(), about.begin(), about.end());
  const Secret kept = Secret::take(std::move(content));
  write_file(place.string(), kept.reveal(), kPrivateFile, Replace::yes);
}

bool is_about_another(const Context& context, ByteView file_sha256, ByteView certificate) {
  const auto kept = kept_challenge(context, file_sha256);
  if (!kept || kept->size() == recovery::kChallenge) return false;
  return !equal(kept->reveal().subspan(recovery::kChallenge), certificate);
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
