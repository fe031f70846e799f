#include "src/base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <numeric>

namespace hsmith {
namespace {

struct CodePoint {
  char32_t value;
  std::size_t size;  // 0: not well-formed here
};

// One code point of UTF-8; refuses overlong forms, surrogates and what is above U+10FFFF.
CodePoint decode(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {0, 0};
  char32_t value = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return {0, 0};
    value = value << 6 | (next & 0x3f);
  }
  static constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[size] || surrogate || value > 0x10ffff) return {0, 0};
  return {value, size};
}

// Characters that change how the rest of a line looks, or look like nothing at all.
bool is_deceptive(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x115f ||
         c == 0x1160 || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0x3164 ||
         c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || c == 0xffa0 ||
         (c >= 0xe0000 && c <= 0xe0fff) || (c >= 0xfe00 && c <= 0xfe0f);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// In a shape 'd' stands for a digit, all else for itself.
bool has_shape(std::string_view text, std::string_view shape) {
  return std::equal(text.begin(), text.end(), shape.begin(), shape.end(), [](char c, char wanted) {
    return wanted == 'd' ? c >= '0' && c <= '9' : c == wanted;
  });
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  std::size_t done = 0;
  while (done < text.size()) {
    if (out.size() >= limit) return out + fmt::format("[{} bytes more]", text.size() - done);
    const CodePoint c = decode(text.substr(done));
    if (c.size == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[done]));
      ++done;
      continue;
    }
    if (c.value == U'\\') {
      out += "\\\\";
    } else if (is_deceptive(c.value)) {
      out += c.value < 0x80 ? fmt::format("\\x{:02x}", static_cast<unsigned>(c.value))
                            : fmt::format("\\u{{{:04x}}}", static_cast<unsigned>(c.value));
    } else {
      out += text.substr(done, c.size);
    }
    done += c.size;
  }
  return out;
}

std::string quoted(std::string_view text) { return '"' + printable(text) + '"'; }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = decode(text);
    if (c.size == 0) return false;
    text.remove_prefix(c.size);
  }
  return true;
}

std::optional<std::string> did_you_mean(std::string_view word, std::span<const std::string> among) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : among) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  std::size_t start = 0;
  for (;;) {
    const std::size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string file_name_for(std::string_view text) {
  if (text.empty()) return "_";
  std::string name;
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter || (c >= '0' && c <= '9') || c == '-') {
      name += c;
    } else {
      name += fmt::format("_{:02X}", static_cast<unsigned char>(c));
    }
  }
  return name;
}

std::string rfc3339(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::optional<std::time_t> parse_time(std::string_view text) {
  std::string complete(text);
  if (complete.size() == 10) complete += "T00:00:00Z";
  std::tm utc{};
  // The shape first: strptime() is content with less, and takes spaces for digits.
  if (!has_shape(std::string_view(complete).substr(0, 19), "dddd-dd-ddTdd:dd:dd")) return {};
  if (strptime(complete.c_str(), "%Y-%m-%dT%H:%M:%S", &utc) == nullptr) return {};
  std::string_view zone = std::string_view(complete).substr(19);
  if (zone.starts_with('.')) {
    zone.remove_prefix(1);
    const std::size_t digits = std::min(zone.find_first_not_of("0123456789"), zone.size());
    if (digits == 0) return {};
    zone.remove_prefix(digits);
  }
  std::tm offset{};
  int sign = 0;
  if (zone != "Z" && zone != "z") {
    if (!has_shape(zone, "+dd:dd") && !has_shape(zone, "-dd:dd")) return {};
    if (strptime(zone.data() + 1, "%H:%M", &offset) == nullptr) return {};
    sign = zone[0] == '+' ? 1 : -1;
  }
  const std::tm asked = utc;
  const std::time_t time = timegm(&utc);
  if (utc.tm_mday != asked.tm_mday) return {};  // 30 February
  return time - sign * (offset.tm_hour * 3600 + offset.tm_min * 60);
}

}  // namespace hsmith
