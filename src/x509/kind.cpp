#include "src/x509/kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <utility>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/handles.h"
#include "src/x509/input.h"

namespace hsmith::x509 {
namespace {

constexpr std::string_view kUnknown = "nothing that hsmith knows";

// Tag and header size of an element, also in BER's indefinite form; enough to tell files apart.
struct Header {
  int tag = -1;
  std::size_t size = 0;
};
Header header_at(ByteView bytes) {
  if (bytes.size() < 2) return {};
  const unsigned char length = bytes[1];
  const std::size_t extra = length < 0x80 ? 0 : length & 0x7fu;
  if (extra > 4 || bytes.size() < 2 + extra) return {};
  return {bytes[0], 2 + extra};
}

// What stands after an INTEGER at the start of a SEQUENCE: keys and PKCS#12 begin so.
std::string kind_after_version(ByteView bytes) {
  if (bytes.size() < 3 || bytes[1] != 1) return "";
  const int version = bytes[2];
  const int next = header_at(bytes.subspan(3)).tag;
  if (version == 3 && next == 0x30) return "a PKCS#12 file";
  if (version <= 1 && (next == 0x30 || next == 0x02 || next == 0x04)) return "a private key";
  return "";
}

// ContentInfo (RFC 5652, section 3): a content type, then the content.
std::string kind_of_content(ByteView type) {
  constexpr std::string_view kEnveloped("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", 11);
  constexpr std::string_view kAuthEnveloped("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
                                            13);
  const std::string_view text = as_text(type);
  if (text.starts_with(kEnveloped) || text.starts_with(kAuthEnveloped))
    return "an encrypted CMS message";
  return "a PKCS#7 or CMS file";
}

// The label of the first PEM block, without a look at the rest of it.
std::string first_label(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  const std::size_t start = text.find(kBegin) + kBegin.size();
  return std::string(
      text.substr(start, std::min<std::size_t>(text.find("-----", start) - start, 64)));
}

bool only_of(std::string_view text, std::string_view letters) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           letters.find(c) != std::string_view::npos;
  });
}

// What stands in a file that is text. A CA's web server that is asked for a certificate often
// answers with a page.
std::string kind_of_text(std::string_view text) {
  const std::string start = lower(trim(text).substr(0, 64));
  if (start.empty()) return "an empty file";
  if (start.starts_with("<!doctype html") || start.starts_with("<html")) return "an HTML page";
  if (start.starts_with("<?xml")) return "an XML file";
  if (start.starts_with("ssh-") || start.starts_with("ecdsa-sha2-")) return "an OpenSSH public key";
  if (start.starts_with("mime-version:") || start.starts_with("content-type:") ||
      text.find("\nMIME-Version:") != std::string_view::npos)
    return "a MIME message";
  if (start.starts_with("eyj") && std::count(text.begin(), text.end(), '.') == 2 &&
      only_of(trim(text), "-_."))
    return "a JWS";
  if (start.starts_with('[') && (text.find("[Password Token]") != std::string_view::npos ||
                                 text.find("Profile Version=") != std::string_view::npos))
    return "an EPF file, a profile of Outlook or Entrust";
  if (start.starts_with('{')) return "a JSON file";
  if (text.size() > 64 && only_of(text, "+/=\r\n")) return "Base64 without its BEGIN and END lines";
  return "text without a PEM block";
}

bool is_text(std::string_view content) {
  return is_utf8(content) && std::none_of(content.begin(), content.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
         });
}

// The command that reads a file of a kind; "" for kinds that no command shows.
std::string_view command_for(std::string_view kind) {
  if (kind == "a certificate" || kind == "a PKCS#7 file") return "hsmith cert show FILE";
  if (kind == "a certificate request" || kind == "a CMC response")
    return "hsmith request show FILE";
  if (kind == "a CMC request")
    return "see it with hsmith request show FILE; where it brings a key to archive, "
           "hsmith archive submit issues for it";
  if (kind == "a PKCS#12 file") return "hsmith pfx show FILE";
  if (kind == "an encrypted CMS message") return "hsmith decrypt FILE";
  return "";
}

// A message of CMC, told by the type of what is signed (RFC 5272, sections 3.2 and 4.2), which
// stands behind no more than a version and the digests' names; "" for other content.
std::string kind_of_cmc(ByteView der) {
  constexpr std::string_view kPkiData("\x06\x08\x2b\x06\x01\x05\x05\x07\x0c\x02", 10);
  constexpr std::string_view kPkiResponse("\x06\x08\x2b\x06\x01\x05\x05\x07\x0c\x03", 10);
  const std::string_view start = as_text(der).substr(0, 256);
  if (start.find(kPkiData) != std::string_view::npos) return "a CMC request";
  return start.find(kPkiResponse) != std::string_view::npos ? "a CMC response" : "";
}

template <typename Handle, auto D2i>
bool parses(ByteView der) {
  const unsigned char* at = der.data();
  const Handle object(D2i(nullptr, &at, static_cast<long>(der.size())));
  return object != nullptr;
}

}  // namespace

std::string kind_of_pem(std::string_view label) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 11> kLabels{{
      {"CERTIFICATE", "a certificate"},
      {"X509 CERTIFICATE", "a certificate"},
      {"TRUSTED CERTIFICATE", "a certificate"},
      {"CERTIFICATE REQUEST", "a certificate request"},
      {"NEW CERTIFICATE REQUEST", "a certificate request"},
      {"X509 CRL", "a certificate revocation list"},
      {"PKCS7", "a PKCS#7 file"},
      {"CMS", "a CMS file"},
      {"PKCS #7 SIGNED DATA", "a PKCS#7 file"},
      {"PUBLIC KEY", "a public key"},
      {"ATTRIBUTE CERTIFICATE", "an attribute certificate"},
  }};
  for (const auto& [known, kind] : kLabels) {
    if (label == known) return kind;
  }
  if (label.find("PRIVATE KEY") != std::string_view::npos) return "a private key";
  return fmt::format("PEM of the type {}", quoted(label));
}

std::string kind_of_der(ByteView der) {
  const Header outer = header_at(der);
  if (outer.tag != 0x30) return std::string(kUnknown);
  const ByteView inside = der.subspan(outer.size);
  const Header first = header_at(inside);
  if (first.tag == 0x06) return kind_of_content(inside);
  if (first.tag == 0x02) {
    const std::string kind = kind_after_version(inside);
    return kind.empty() ? std::string(kUnknown) : kind;
  }
  std::string kind(kUnknown);
  if (parses<ossl::Certificate, d2i_X509>(der)) {
    kind = "a certificate";
  } else if (parses<ossl::Request, d2i_X509_REQ>(der)) {
    kind = "a certificate request";
  } else if (parses<ossl::Crl, d2i_X509_CRL>(der)) {
    kind = "a certificate revocation list";
  } else if (parses<ossl::PKey, d2i_PUBKEY>(der)) {
    kind = "a public key";
  } else if (header_at(inside.subspan(std::min(first.size, inside.size()))).tag == 0x06) {
    kind = "an encrypted private key";
  }
  ossl::clear_errors();
  return kind;
}

std::string kind_of(ByteView content) {
  const std::string_view text = as_text(content);
  if (looks_like_pem(content)) return kind_of_pem(first_label(text));
  // What Windows programs write as "text".
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return "UTF-16 text";
  if (text.starts_with("\x7f"
                       "ELF"))
    return "a program";
  if (text.starts_with("\xfe\xed\xfe\xed")) return "a Java key store";
  if (is_text(text)) return kind_of_text(text);
  return kind_of_der(content);
}

void refuse_kind(ByteView content, std::string_view input, std::string_view expected) {
  std::string kind = kind_of(content);
  if (kind == "a PKCS#7 or CMS file" || kind == "a PKCS#7 file" || kind == "a CMS file") {
    const auto blocks = looks_like_pem(content) ? pem_blocks(content, input)
                                                : std::vector<PemBlock>{{"", to_bytes(content)}};
    const std::string cmc = kind_of_cmc(blocks.front().der);
    if (!cmc.empty()) kind = cmc;
  }
  if (kind == expected || kind == kUnknown) {
    throw Error(Kind::malformed,
                fmt::format("read {}: this is damaged, or not {}", input, expected));
  }
  Error error(Kind::malformed,
              fmt::format("read {}: this is {}, expected {}", input, kind, expected));
  const std::string_view command = command_for(kind);
  if (command.empty()) throw std::move(error);
  throw std::move(error).hint(std::string(command));
}

}  // namespace hsmith::x509
