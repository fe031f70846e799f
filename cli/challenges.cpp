#include "cli/challenges.h"

#include <openssl/crypto.h>

#include "src/recovery/archive.h"
#include "src/recovery/signed_file.h"

namespace hsmith::cli {
namespace {

std::filesystem::path place_of(const Context& context, ByteView file_sha256) {
  return context.environment.state_folder / "challenges" / hex(file_sha256);
}

}  // namespace

void keep_challenge(const Context& context, ByteView file, const Secret& number) {
  const auto place = place_of(context, recovery::sha256_of(file));
  make_private_folder(place.parent_path());
  write_file(place.string(), number.reveal(), kPrivateFile, Replace::yes);
}

bool answers_challenge(const Context& context, ByteView file_sha256, std::string_view text,
                       ByteView mac) {
  const auto place = place_of(context, file_sha256);
  if (!std::filesystem::exists(place)) return false;
  const Secret number = Secret::take(read_file(place.string(), 4096));
  const Bytes expected = recovery::challenge_mac(number, text);
  return mac.size() == expected.size() &&
         CRYPTO_memcmp(mac.data(), expected.data(), mac.size()) == 0;
}

}  // namespace hsmith::cli
