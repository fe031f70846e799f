#include "src/x509/input.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <optional>
#include <utility>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostBlocks = 10000;
constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Gives the lines of a text one by one: ends are LF, CRLF or CR.
class Lines {
 public:
  explicit Lines(ByteView content) : rest_(as_text(content)) {
    if (rest_.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
      rest_.remove_prefix(kByteOrderMark.size());
    }
  }

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find_first_of("\r\n");
    line = trim(rest_.substr(0, end));
    const bool both = end != std::string_view::npos && rest_.substr(end, 2) == "\r\n";
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + (both ? 2 : 1));
    ++number_;
    return true;
  }
  std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

// The label of "-----BEGIN label-----".
std::optional<std::string> label_of(std::string_view line, std::string_view start) {
  if (line.substr(0, start.size()) != start) return std::nullopt;
  line.remove_prefix(start.size());
  if (line.size() < kDashes.size() || line.substr(line.size() - kDashes.size()) != kDashes) {
    return std::nullopt;
  }
  line.remove_suffix(kDashes.size());
  if (line.empty() || line.size() > 64) return std::nullopt;
  return std::string(line);
}

[[noreturn]] void refuse_line(std::string_view input, std::size_t line, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read {}: line {}: {}", input, line, cause));
}

// Reads up to the end line of the block that has begun.
PemBlock read_block(Lines& lines, std::string label, std::string_view input) {
  const bool secret = label.find("PRIVATE KEY") != std::string::npos;
  const std::size_t first = lines.number();
  std::string encoded;
  std::string_view line;
  while (lines.next(line)) {
    if (const auto end = label_of(line, kEnd)) {
      if (*end != label) {
        refuse_line(input, lines.number(),
                    fmt::format("{} ends as {}", printable(label), quoted(*end)));
      }
      if (secret) return {std::move(label), {}};
      auto der = parse_base64(encoded);
      if (!der || der->empty())
        refuse_line(input, first,
                    fmt::format("the {} that begins here is not Base64", printable(label)));
      return {std::move(label), std::move(*der)};
    }
    if (!secret) encoded += line;
  }
  refuse_line(input, first,
              fmt::format("the {} that begins here has no end line", printable(label)));
}

}  // namespace

bool looks_like_pem(ByteView content) {
  const std::string_view text = as_text(content);
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos;
       at = text.find(kBegin, at + 1)) {
    const std::string_view before = text.substr(0, at);
    if (before.empty() || before == kByteOrderMark) return true;
    const std::size_t line = before.find_last_not_of(" \t");
    if (line == std::string_view::npos || before[line] == '\n' || before[line] == '\r') return true;
  }
  return false;
}

std::vector<PemBlock> pem_blocks(ByteView content, std::string_view input) {
  std::vector<PemBlock> blocks;
  Lines lines(content);
  std::string_view line;
  while (lines.next(line)) {
    auto label = label_of(line, kBegin);
    if (!label) continue;
    if (blocks.size() == kMostBlocks) {
      refuse_line(input, lines.number(), fmt::format("more than {} PEM blocks", kMostBlocks));
    }
    blocks.push_back(read_block(lines, std::move(*label), input));
  }
  return blocks;
}

std::string pem(std::string_view label, ByteView der) {
  const std::string encoded = base64(der);
  std::string text = fmt::format("-----BEGIN {}-----\n", label);
  for (std::size_t at = 0; at < encoded.size(); at += 64) text += encoded.substr(at, 64) + "\n";
  return text + fmt::format("-----END {}-----\n", label);
}

std::size_t der_element_size(ByteView der) {
  if (der.size() < 2 || (der[0] & 0x1f) == 0x1f) return 0;
  std::size_t header = 2;
  std::size_t length = der[1];
  if (length >= 0x80) {
    const std::size_t octets = length & 0x7f;
    if (octets == 0 || octets > 4 || der.size() < 2 + octets || der[2] == 0) return 0;
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8 | der[2 + i];
    if (length < 0x80) return 0;
    header += octets;
  }
  return length <= der.size() - header ? header + length : 0;
}

}  // namespace hsmith::x509
