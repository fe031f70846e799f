#include "src/cms/ber.h"

#include <fmt/format.h>
#include <openssl/objects.h>
#include <vector>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/handles.h"

namespace hsmith::cms {
namespace {

constexpr std::size_t kMostDepth = 64;
constexpr std::size_t kMostElements = 4'000'000;
constexpr std::size_t kIndefinite = static_cast<std::size_t>(-1);

struct Header {
  unsigned char tag = 0;
  std::size_t size = 0;
  std::size_t length = 0;  // of the content, or kIndefinite
};

// nullopt: cut off, a tag number above 30, a length of more than eight octets or beyond the input.
std::optional<Header> header_at(ByteView bytes) {
  if (bytes.size() < 2 || (bytes[0] & 0x1f) == 0x1f) return std::nullopt;
  Header header{bytes[0], 2, bytes[1]};
  if (bytes[1] == 0x80) {
    if ((header.tag & kConstructed) == 0) return std::nullopt;
    header.length = kIndefinite;
    return header;
  }
  if (bytes[1] > 0x80) {
    const std::size_t octets = bytes[1] & 0x7fu;
    if (octets > sizeof(std::size_t) || bytes.size() < 2 + octets) return std::nullopt;
    header.length = 0;
    for (std::size_t i = 0; i < octets; ++i) header.length = header.length << 8 | bytes[2 + i];
    header.size += octets;
  }
  if (header.length > bytes.size() - header.size) return std::nullopt;
  return header;
}

bool is_end_mark(ByteView bytes) { return bytes.size() >= 2 && bytes[0] == 0 && bytes[1] == 0; }

// Where the content of an indefinite form that begins at `at` ends: at its end mark. The input has
// passed check_ber(), or nullopt.
std::optional<std::size_t> end_of_indefinite(ByteView bytes, std::size_t at) {
  std::size_t open = 1;
  while (true) {
    if (is_end_mark(bytes.subspan(at))) {
      if (--open == 0) return at;
      at += 2;
      continue;
    }
    const auto header = header_at(bytes.subspan(at));
    if (!header) return std::nullopt;
    at += header->size;
    // What has a length is stepped over whole: its marks are its own.
    if (header->length == kIndefinite) {
      ++open;
    } else {
      at += header->length;
    }
  }
}

}  // namespace

void check_ber(ByteView ber, std::string_view input) {
  const auto refuse = [&](std::size_t at, std::string_view cause) {
    throw Error(Kind::malformed, fmt::format("read {}: byte {}: {}", quoted(input), at, cause));
  };
  // The ends of the elements around the current one; kIndefinite: an end mark is awaited.
  std::vector<std::size_t> ends;
  std::size_t at = 0;
  std::size_t elements = 0;
  do {
    while (!ends.empty() && ends.back() == at) ends.pop_back();
    if (ends.empty() && at > 0) break;
    // An indefinite form lies within the nearest form around it that has a length.
    std::size_t limit = ber.size();
    for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
      if (*end == kIndefinite) continue;
      limit = *end;
      break;
    }
    if (!ends.empty() && ends.back() == kIndefinite && is_end_mark(ber.subspan(at, limit - at))) {
      ends.pop_back();
      at += 2;
      continue;
    }
    const auto header = header_at(ber.subspan(at, limit - at));
    if (!header || header->tag == 0) refuse(at, "the structure (BER) is damaged");
    if (++elements > kMostElements) refuse(at, "more elements than any message has");
    at += header->size;
    if ((header->tag & kConstructed) == 0) {
      at += header->length;
      continue;
    }
    if (ends.size() == kMostDepth) refuse(at, "nested deeper than any message is");
    ends.push_back(header->length == kIndefinite ? kIndefinite : at + header->length);
  } while (true);
  if (at != ber.size()) refuse(at, fmt::format("{} bytes follow the message", ber.size() - at));
}

Reader::Reader(const Element& element, std::string_view what)
    : rest_(element.content), what_(what) {
  if (!element.is_constructed()) refuse("it is no structure");
}

void Reader::refuse(std::string_view cause) const {
  throw Error(Kind::malformed, fmt::format("read {}: {}", what_, cause));
}

Element Reader::next() {
  const auto header = header_at(rest_);
  if (!header) refuse(rest_.empty() ? "it ends too early" : "the structure (BER) is damaged");
  std::size_t length = header->length;
  std::size_t mark = 0;
  if (length == kIndefinite) {
    const auto end = end_of_indefinite(rest_, header->size);
    if (!end) refuse("the structure (BER) is damaged");
    length = *end - header->size;
    mark = 2;
  }
  const Element element{header->tag, rest_.subspan(header->size, length),
                        rest_.first(header->size + length + mark)};
  rest_ = rest_.subspan(element.whole.size());
  return element;
}

Element Reader::take(unsigned char tag, std::string_view name) {
  if (rest_.empty() || rest_[0] != tag)
    refuse(fmt::format("{} is missing, or of another kind", name));
  return next();
}

std::optional<Element> Reader::take_if(unsigned char tag) {
  if (rest_.empty() || rest_[0] != tag) return std::nullopt;
  return next();
}

void Reader::end() const {
  if (more()) refuse("more follows than belongs there");
}

std::size_t octets_size(const Element& element) {
  if (!element.is_constructed()) return element.content.size();
  std::size_t size = 0;
  for (Reader reader(element, "the octet string"); reader.more();) {
    const Element segment = reader.next();
    if ((segment.tag & ~kConstructed) != kOctetString) reader.refuse("a segment is none of octets");
    size += octets_size(segment);
  }
  return size;
}

Bytes octets_of(const Element& element) {
  if (!element.is_constructed()) return to_bytes(element.content);
  Bytes octets;
  for (Reader reader(element, "the octet string"); reader.more();) {
    const Element segment = reader.next();
    if ((segment.tag & ~kConstructed) != kOctetString) reader.refuse("a segment is none of octets");
    if (segment.is_constructed()) {
      const Bytes inner = octets_of(segment);
      octets.insert(octets.end(), inner.begin(), inner.end());
    } else {
      octets.insert(octets.end(), segment.content.begin(), segment.content.end());
    }
  }
  return octets;
}

Algorithm read_algorithm(const Element& element, std::string_view what) {
  Reader reader(element, what);
  Algorithm algorithm{nid_of(reader.take(kOid, "its OID")), std::nullopt};
  if (reader.more()) algorithm.parameters = reader.next();
  reader.end();
  if (algorithm.parameters && algorithm.parameters->tag == kNull &&
      !algorithm.parameters->content.empty()) {
    reader.refuse("its NULL is not empty");
  }
  return algorithm;
}

namespace {

ossl::Asn1Object object_of(const Element& oid) {
  const unsigned char* at = oid.whole.data();
  ossl::Asn1Object object(d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(oid.whole.size())));
  ossl::clear_errors();
  return object;
}

}  // namespace

int nid_of(const Element& oid) {
  const ossl::Asn1Object object = object_of(oid);
  return object == nullptr ? NID_undef : OBJ_obj2nid(object.get());
}

std::string oid_text(const Element& oid) {
  const ossl::Asn1Object object = object_of(oid);
  if (object == nullptr) return "a damaged OID";
  const int nid = OBJ_obj2nid(object.get());
  if (nid != NID_undef) return OBJ_nid2sn(nid);
  std::string text(128, '\0');
  const int size = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object.get(), 1);
  text.resize(size > 0 && size < 128 ? static_cast<std::size_t>(size) : 0);
  return text.empty() ? "a very long OID" : text;
}

}  // namespace hsmith::cms
