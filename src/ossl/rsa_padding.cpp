#include "src/ossl/rsa_padding.h"

#include <openssl/rand.h>

#include "src/base/error.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

// All bits, or none: conditions that are computed with and never branched on.
using Mask = std::size_t;

// Hides a value from the optimiser, which could make a branch of what follows.
Mask opaque(Mask value) {
  asm volatile("" : "+r"(value));
  return value;
}

Mask is_zero(Mask value) {
  constexpr int kTopBit = sizeof(Mask) * 8 - 1;
  return Mask{0} - (opaque(~value & (value - 1)) >> kTopBit);
}

Mask is_equal(Mask a, Mask b) { return is_zero(a ^ b); }

Mask is_less(Mask a, Mask b) {  // for values below half of the range
  constexpr int kTopBit = sizeof(Mask) * 8 - 1;
  return Mask{0} - (opaque(a - b) >> kTopBit);
}

Mask select(Mask mask, Mask yes, Mask no) { return (mask & yes) | (~mask & no); }

// Where the message starts in a block that ends with it.
struct Found {
  Mask good;
  std::size_t start;
};

// MGF1 (RFC 8017, B.2.1), added to `target`.
void mask_with(const DigestType& digest, ByteView seed, unsigned char* target, std::size_t size) {
  for (std::size_t done = 0; done < size; done += digest.size) {
    const auto counter = static_cast<std::uint32_t>(done / digest.size);
    const unsigned char number[] = {
        static_cast<unsigned char>(counter >> 24), static_cast<unsigned char>(counter >> 16),
        static_cast<unsigned char>(counter >> 8), static_cast<unsigned char>(counter)};
    Hasher hasher(digest);
    hasher.update(seed);
    hasher.update(number);
    const Secret block = Secret::take(hasher.finish());
    for (std::size_t i = 0; i < digest.size && done + i < size; ++i) {
      target[done + i] ^= block.reveal()[i];
    }
  }
}

// EME-PKCS1-v1_5 (RFC 8017, 7.2.2): 00 02, eight bytes or more that are not zero, 00, the message.
Found find_pkcs1(ByteView block) {
  Mask searching = ~Mask{0};
  std::size_t zero = 0;
  for (std::size_t i = 2; i < block.size(); ++i) {
    const Mask here = searching & is_zero(block[i]);
    zero |= here & i;
    searching &= ~here;
  }
  const Mask good = is_zero(block[0]) & is_equal(block[1], 2) & ~searching & ~is_less(zero, 2 + 8);
  return {good, zero + 1};
}

// EME-OAEP (RFC 8017, 7.1.2): unmasks `block` in place, then 00, a seed, the label's digest, zeros,
// 01, the message.
Found find_oaep(const RsaEncryption& how, Bytes& block) {
  const std::size_t digest_size = how.digest->size;
  unsigned char* seed = block.data() + 1;
  unsigned char* data = seed + digest_size;
  const std::size_t data_size = block.size() - 1 - digest_size;
  mask_with(*how.mgf1, {data, data_size}, seed, digest_size);
  mask_with(*how.mgf1, {seed, digest_size}, data, data_size);

  const Bytes label = digest(*how.digest, how.label);
  Mask difference = block[0];
  for (std::size_t i = 0; i < digest_size; ++i) difference |= Mask{data[i]} ^ label[i];
  Mask searching = ~Mask{0};
  std::size_t one = 0;
  for (std::size_t i = 1 + 2 * digest_size; i < block.size(); ++i) {
    const Mask here = searching & is_equal(block[i], 1);
    one |= here & i;
    searching &= ~here;
    difference |= searching & block[i];
  }
  return {is_zero(difference) & ~searching, one + 1};
}

// A block too short to hold the padding at all is a matter of the key, not of the message.
void check_block(const RsaEncryption& how, ByteView block) {
  const bool oaep = how.padding == RsaPadding::oaep;
  if (oaep && (how.digest == nullptr || how.mgf1 == nullptr)) {
    throw Error(Kind::internal, "undo OAEP: no digest is given");
  }
  if (block.size() < (oaep ? 2 * how.digest->size + 2 : 11)) {
    throw Error(Kind::unsupported, "the key is too short for " + describe(how));
  }
}

Found find_message(const RsaEncryption& how, Bytes& block) {
  return how.padding == RsaPadding::oaep ? find_oaep(how, block) : find_pkcs1(block);
}

}  // namespace

std::string describe(const RsaEncryption& how) {
  if (how.padding == RsaPadding::none) return "bare RSA";
  if (how.padding == RsaPadding::pkcs1) return "RSA PKCS#1 v1.5";
  std::string text = std::string("RSA-OAEP with ") + how.digest->name;
  if (how.mgf1 != how.digest) text += std::string(" and MGF1 with ") + how.mgf1->name;
  return text + (how.label.empty() ? "" : " and a label");
}

std::optional<Secret> unpad(const RsaEncryption& how, ByteView block) {
  if (how.padding == RsaPadding::none) return Secret(block);
  check_block(how, block);
  Bytes work = to_bytes(block);
  const Found found = find_message(how, work);
  const Secret whole = Secret::take(std::move(work));
  if (found.good == 0) return std::nullopt;
  return Secret(whole.reveal().subspan(found.start));
}

DecryptedKey unpad_key(const RsaEncryption& how, ByteView block, std::size_t size) {
  check_block(how, block);
  if (size > block.size()) return random_key(size);
  Bytes work = to_bytes(block);
  const Found found = find_message(how, work);
  const Secret whole = Secret::take(std::move(work));
  const Mask good = found.good & is_equal(found.start, block.size() - size);
  const Secret random = random_key(size).key;
  Bytes key(size);
  const ByteView message = whole.reveal().last(size);
  for (std::size_t i = 0; i < size; ++i) {
    key[i] = static_cast<unsigned char>(select(good, message[i], random.reveal()[i]));
  }
  return {Secret::take(std::move(key)), good != 0};
}

DecryptedKey random_key(std::size_t size) {
  Bytes key(size);
  check(RAND_bytes(key.data(), static_cast<int>(size)) == 1, "make a random key");
  return {Secret::take(std::move(key)), false};
}

}  // namespace hsmith::ossl
