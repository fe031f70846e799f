#include "src/cms/smime.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <vector>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/text.h"

namespace hsmith::cms {
namespace {

constexpr std::size_t kMostHeaders = std::size_t{64} << 10;  // bytes
constexpr std::size_t kLongestLine = 998;                    // RFC 5322, 2.1.1

[[noreturn]] void refuse(std::string_view input, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read {}: {}", quoted(input), cause));
}

// Takes the next line off `rest`, without its end: LF or CRLF.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?= \t";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return c > 0x20 && c < 0x7f && kSpecials.find(c) == std::string_view::npos;
  });
}

// Header fields by lower-case name, unfolded.
using Headers = std::map<std::string, std::string>;

// Takes the headers and the empty line behind them off `rest`. nullopt: that is no header block.
// Of the fields that MIME has, none may stand there twice; of others the last one counts.
std::optional<Headers> take_headers(std::string_view& rest) {
  const std::size_t size = rest.size();
  Headers headers;
  std::string* current = nullptr;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    if (size - rest.size() > kMostHeaders) return std::nullopt;
    if (line.empty()) return headers;
    if (line.front() == ' ' || line.front() == '\t') {
      if (current == nullptr) return std::nullopt;
      current->append(" ").append(trim(line));
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string_view name = trim(line.substr(0, colon));
    if (colon == std::string_view::npos || !is_token(name)) return std::nullopt;
    const auto [field, added] = headers.try_emplace(lower(name));
    if (!added && field->first.starts_with("content-")) return std::nullopt;
    field->second = trim(line.substr(colon + 1));
    current = &field->second;
  }
  return headers;  // headers without a body
}

struct ContentType {
  std::string type;                               // "multipart/signed"
  std::map<std::string, std::string> parameters;  // values as they are
};

// The value of a parameter: a token, or a quoted string (RFC 2045, 5.1).
std::optional<std::string> take_value(std::string_view& rest) {
  if (rest.empty() || rest.front() != '"') {
    const std::size_t end = rest.find_first_of("; \t");
    const std::string_view value = rest.substr(0, end);
    rest.remove_prefix(value.size());
    // Unquoted values with '/' and '=' are seen in the wild.
    const bool plain = std::all_of(value.begin(), value.end(),
                                   [](char c) { return c > 0x20 && c < 0x7f && c != '"'; });
    if (value.empty() || !plain) return std::nullopt;
    return std::string(value);
  }
  std::string value;
  for (std::size_t at = 1; at < rest.size(); ++at) {
    if (rest[at] == '"') {
      rest.remove_prefix(at + 1);
      return value;
    }
    if (rest[at] == '\\' && ++at == rest.size()) break;
    value += rest[at];
  }
  return std::nullopt;
}

std::optional<ContentType> parse_content_type(std::string_view text) {
  ContentType parsed;
  const std::size_t end = text.find(';');
  parsed.type = lower(trim(text.substr(0, end)));
  text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  while (!(text = trim(text)).empty()) {
    if (text.front() != ';') return std::nullopt;
    text = trim(text.substr(1));
    if (text.empty()) break;  // a last semicolon
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string name = lower(trim(text.substr(0, equals)));
    text = trim(text.substr(equals + 1));
    const auto value = take_value(text);
    if (!is_token(name) || !value) return std::nullopt;
    if (!parsed.parameters.emplace(name, *value).second) return std::nullopt;
  }
  return parsed;
}

std::optional<ContentType> content_type(const Headers& headers) {
  const auto field = headers.find("content-type");
  if (field == headers.end()) return std::nullopt;
  return parse_content_type(field->second);
}

bool is_pkcs7(std::string_view type, std::string_view which) {
  return type == fmt::format("application/pkcs7-{}", which) ||
         type == fmt::format("application/x-pkcs7-{}", which);
}

bool is_smime(const ContentType& type) {
  return type.type == "multipart/signed" || is_pkcs7(type.type, "mime");
}

Bytes decode_body(const Headers& headers, std::string_view body, std::string_view input) {
  const auto encoding = headers.find("content-transfer-encoding");
  if (encoding == headers.end() || lower(encoding->second) != "base64") {
    refuse(input, "its PKCS#7 part is not in Base64");
  }
  std::string text;
  text.reserve(body.size());
  while (!body.empty()) text += trim(take_line(body));
  auto bytes = parse_base64(text);
  if (!bytes || bytes->empty()) refuse(input, "its PKCS#7 part is not Base64");
  return std::move(*bytes);
}

// RFC 8551, 3.1.1: text is hashed with CRLF at the ends of its lines.
Bytes canonical(std::string_view text) {
  Bytes bytes;
  bytes.reserve(text.size() + text.size() / 32);
  char before = 0;
  for (const char c : text) {
    if (c == '\n' && before != '\r') bytes.push_back('\r');
    bytes.push_back(static_cast<unsigned char>(c));
    before = c;
  }
  return bytes;
}

// What stands between the boundaries (RFC 2046, 5.1.1); the line end before a boundary belongs to
// it. What is before the first and behind the last one is no part.
std::vector<std::string_view> parts_of(std::string_view body, std::string_view boundary,
                                       std::string_view input) {
  std::vector<std::string_view> parts;
  const std::string delimiter = fmt::format("--{}", boundary);
  const std::string_view whole = body;
  std::size_t begin = std::string_view::npos;
  while (!body.empty()) {
    const std::size_t at = whole.size() - body.size();
    std::string_view line = take_line(body);
    if (!line.starts_with(delimiter)) continue;
    line.remove_prefix(delimiter.size());
    const bool last = line.starts_with("--");
    if (last) line.remove_prefix(2);
    if (!trim(line).empty()) continue;  // a longer word that begins alike
    if (begin != std::string_view::npos) {
      std::string_view part = whole.substr(begin, at - begin);
      if (part.ends_with('\n')) part.remove_suffix(1);
      if (part.ends_with('\r')) part.remove_suffix(1);
      parts.push_back(part);
    }
    if (last) return parts;
    if (parts.size() > 2) break;
    begin = whole.size() - body.size();
  }
  refuse(input, "its multipart/signed does not end, or has more than two parts");
}

SmimeMessage read_multipart(const ContentType& type, std::string_view body,
                            std::string_view input) {
  const auto boundary = type.parameters.find("boundary");
  if (boundary == type.parameters.end() || boundary->second.empty() ||
      boundary->second.size() > 70) {
    refuse(input, "its multipart/signed names no boundary, or one longer than 70 characters");
  }
  const auto protocol = type.parameters.find("protocol");
  if (protocol != type.parameters.end() && !is_pkcs7(lower(protocol->second), "signature")) {
    refuse(input, fmt::format("its multipart/signed is not S/MIME but {}",
                              quoted(std::string_view(protocol->second))));
  }
  const auto parts = parts_of(body, boundary->second, input);
  if (parts.size() != 2) {
    refuse(input, fmt::format("its multipart/signed has {} parts, not two", parts.size()));
  }
  std::string_view signature = parts[1];
  const auto headers = take_headers(signature);
  const auto signature_type = headers ? content_type(*headers) : std::nullopt;
  if (!signature_type || !is_pkcs7(signature_type->type, "signature")) {
    refuse(input, "the second part of its multipart/signed is no PKCS#7 signature");
  }
  return {decode_body(*headers, signature, input), canonical(parts[0])};
}

std::string base64_lines(ByteView bytes) {
  const std::string text = base64(bytes);
  std::string lines;
  lines.reserve(text.size() + text.size() / 32 + 2);
  for (std::size_t at = 0; at < text.size(); at += 64) {
    lines.append(text, at, 64).append("\r\n");
  }
  return lines;
}

bool is_plain_text(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (line.size() > kLongestLine) return false;
    // A bare CR and control characters do not survive every way that mail takes.
    const auto is_control = [](char c) {
      return static_cast<unsigned char>(c) < 0x20 && c != '\t';
    };
    if (std::any_of(line.begin(), line.end(), is_control)) return false;
  }
  return true;
}

// A file's name as a header can hold it.
std::string header_name(std::string name) {
  for (char& c : name) {
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') c = '_';
  }
  return name;
}

// "sha-256": the names of RFC 8551, 3.5.3.2.
std::string micalg(std::string_view digest) {
  return fmt::format("{}-{}", digest.substr(0, 3), digest.substr(3));
}

}  // namespace

bool looks_like_smime(ByteView content) {
  std::string_view rest = as_text(content);
  const auto headers = take_headers(rest);
  const auto type = headers ? content_type(*headers) : std::nullopt;
  return type && is_smime(*type);
}

SmimeMessage read_smime(ByteView text, std::string_view input) {
  std::string_view rest = as_text(text);
  const auto headers = take_headers(rest);
  const auto type = headers ? content_type(*headers) : std::nullopt;
  if (!type || !is_smime(*type)) refuse(input, "its headers do not announce an S/MIME message");
  if (type->type == "multipart/signed") return read_multipart(*type, rest, input);
  return {decode_body(*headers, rest, input), std::nullopt};
}

Bytes mime_entity(ByteView content, const std::string& file_name) {
  const std::string_view text = as_text(content);
  std::string_view rest = text;
  const auto headers = take_headers(rest);
  if (headers && content_type(*headers)) return canonical(text);
  if (is_plain_text(text)) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    const bool ascii = std::all_of(text.begin(), text.end(), is_ascii);
    Bytes entity = to_bytes(as_bytes(
        fmt::format("Content-Type: text/plain; charset={}\r\nContent-Transfer-Encoding: {}\r\n\r\n",
                    ascii ? "us-ascii" : "utf-8", ascii ? "7bit" : "8bit")));
    const Bytes body = canonical(text);
    entity.insert(entity.end(), body.begin(), body.end());
    return entity;
  }
  return to_bytes(as_bytes(
      fmt::format("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
                  "Content-Disposition: attachment; filename=\"{}\"\r\n\r\n{}",
                  header_name(file_name), base64_lines(content))));
}

std::string multipart_signed(ByteView entity, ByteView cms, std::string_view digest) {
  // No content holds its own hash.
  const std::string boundary = "----" + sha256_hex(entity).substr(0, 32);
  return fmt::format(
      "MIME-Version: 1.0\r\nContent-Type: multipart/signed; "
      "protocol=\"application/pkcs7-signature\";\r\n micalg=\"{}\"; boundary=\"{}\"\r\n\r\n"
      "This is a signed message in MIME format (S/MIME).\r\n\r\n--{}\r\n{}\r\n--{}\r\n"
      "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
      "Content-Transfer-Encoding: base64\r\n"
      "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n{}--{}--\r\n",
      micalg(digest), boundary, boundary, as_text(entity), boundary, base64_lines(cms), boundary);
}

std::string pkcs7_mime(ByteView cms, std::string_view type) {
  return fmt::format(
      "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type={};\r\n"
      " name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n"
      "Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n{}",
      type, base64_lines(cms));
}

}  // namespace hsmith::cms
