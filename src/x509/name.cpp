#include "src/x509/name.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kTextLimit = 8192;

enum class Form { utf8, printable, ia5, country };

// The attribute types that have a name here. Bounds are the ub- values of RFC 5280, A.1, in
// characters; rank is the place in a name that is made from single fields.
struct AttributeType {
  const char* name;
  const char* oid;
  Form form;
  std::size_t bound;
  int rank;
};

constexpr std::array<AttributeType, 24> kTypes{{
    {"C", "2.5.4.6", Form::country, 2, 0},
    {"ST", "2.5.4.8", Form::utf8, 128, 1},
    {"L", "2.5.4.7", Form::utf8, 128, 2},
    {"O", "2.5.4.10", Form::utf8, 64, 3},
    {"OU", "2.5.4.11", Form::utf8, 64, 4},
    {"CN", "2.5.4.3", Form::utf8, 64, 6},
    {"emailAddress", "1.2.840.113549.1.9.1", Form::ia5, 255, 7},
    {"serialNumber", "2.5.4.5", Form::printable, 64, 5},
    {"DC", "0.9.2342.19200300.100.1.25", Form::ia5, 63, 5},
    {"UID", "0.9.2342.19200300.100.1.1", Form::utf8, 256, 5},
    {"STREET", "2.5.4.9", Form::utf8, 128, 5},
    {"postalCode", "2.5.4.17", Form::utf8, 40, 5},
    {"title", "2.5.4.12", Form::utf8, 64, 5},
    {"SN", "2.5.4.4", Form::utf8, 40, 5},
    {"GN", "2.5.4.42", Form::utf8, 32, 5},
    {"initials", "2.5.4.43", Form::utf8, 5, 5},
    {"generationQualifier", "2.5.4.44", Form::utf8, 3, 5},
    {"dnQualifier", "2.5.4.46", Form::printable, 64, 5},
    {"pseudonym", "2.5.4.65", Form::utf8, 128, 5},
    {"businessCategory", "2.5.4.15", Form::utf8, 128, 5},
    {"organizationIdentifier", "2.5.4.97", Form::utf8, 256, 5},
    {"jurisdictionC", "1.3.6.1.4.1.311.60.2.1.3", Form::country, 2, 5},
    {"jurisdictionST", "1.3.6.1.4.1.311.60.2.1.2", Form::utf8, 128, 5},
    {"jurisdictionL", "1.3.6.1.4.1.311.60.2.1.1", Form::utf8, 128, 5},
}};

// What Windows, LDAP and other programs call some of them.
constexpr std::array<std::pair<const char*, const char*>, 12> kAliases{{
    {"e", "emailAddress"},
    {"email", "emailAddress"},
    {"s", "ST"},
    {"commonName", "CN"},
    {"organizationName", "O"},
    {"organizationalUnitName", "OU"},
    {"localityName", "L"},
    {"stateOrProvinceName", "ST"},
    {"countryName", "C"},
    {"surname", "SN"},
    {"givenName", "GN"},
    {"domainComponent", "DC"},
}};

const AttributeType* type_named(std::string_view name) {
  std::string wanted = lower(name);
  for (const auto& [alias, real] : kAliases) {
    if (wanted == lower(alias)) wanted = lower(real);
  }
  for (const AttributeType& type : kTypes) {
    if (wanted == lower(type.name) || wanted == type.oid) return &type;
  }
  return nullptr;
}

bool is_dotted_oid(std::string_view text) {
  return !text.empty() && text[0] >= '0' && text[0] <= '2' &&
         text.find('.') != std::string_view::npos &&
         text.find_first_not_of("0123456789.") == std::string_view::npos;
}

[[noreturn]] void refuse_type(std::string_view name) {
  std::vector<std::string> known;
  for (const AttributeType& type : kTypes) known.emplace_back(type.name);
  Error error(Kind::usage, fmt::format("the subject's field {}: no such field", quoted(name)));
  if (const auto near = did_you_mean(name, known)) {
    throw std::move(error).hint(fmt::format("did you mean {}?", *near));
  }
  throw std::move(error).hint("fields are C, ST, L, O, OU, CN, emailAddress and others, or an OID");
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

bool is_printable_string(std::string_view text) {
  return text.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") ==
         std::string_view::npos;
}

// Control, bidirectional and zero-width characters: what printable() would not leave as it is.
bool has_invisible(std::string_view value) {
  std::string plain(value);
  plain.erase(std::remove(plain.begin(), plain.end(), '\\'), plain.end());
  return printable(plain, plain.size() + 1) != plain;
}

void check_value(std::string_view field, std::string_view value, Form form, std::size_t bound) {
  const auto refuse = [&](std::string_view cause) {
    throw Error(Kind::usage,
                fmt::format("the subject's field {} = {}: {}", field, quoted(value), cause));
  };
  if (value.empty()) refuse("it is empty");
  if (!is_utf8(value)) refuse("it is not UTF-8");
  if (has_invisible(value)) refuse("it holds invisible characters");
  const bool two_capitals =
      value.size() == 2 && value[0] >= 'A' && value[0] <= 'Z' && value[1] >= 'A' && value[1] <= 'Z';
  if (form == Form::country && !two_capitals) {
    refuse("a country is two capital letters, as in ISO 3166: HK");
  }
  if (form == Form::printable && !is_printable_string(value)) {
    refuse("only letters, digits, spaces and '()+,-./:=? may stand there");
  }
  if (form == Form::ia5 && std::any_of(value.begin(), value.end(), [](char c) { return c < 0; })) {
    refuse("only ASCII may stand there");
  }
  if (characters(value) > bound) {
    refuse(fmt::format("it has {} characters, more than {}", characters(value), bound));
  }
}

int string_type(Form form) {
  switch (form) {
    case Form::utf8:
      return V_ASN1_UTF8STRING;
    case Form::ia5:
      return V_ASN1_IA5STRING;
    case Form::printable:
    case Form::country:
      break;
  }
  return V_ASN1_PRINTABLESTRING;
}

// `place` and `set` are what X509_NAME_add_entry_by_OBJ calls them: -1 is the end; 0 begins an RDN,
// -1 joins the one before, 1 the one after.
void add_part(X509_NAME* name, const SubjectPart& part, int set, int place = -1) {
  const AttributeType* known = type_named(part.type);
  if (known == nullptr && !is_dotted_oid(part.type)) refuse_type(part.type);
  const char* oid = known != nullptr ? known->oid : part.type.c_str();
  const Form form = known != nullptr ? known->form : Form::utf8;
  check_value(known != nullptr ? known->name : oid, part.value, form,
              known != nullptr ? known->bound : 1024);
  const ossl::Asn1Object object(OBJ_txt2obj(oid, 1));
  if (object == nullptr) {
    ossl::clear_errors();
    throw Error(Kind::usage, fmt::format("the subject's field {}: no such OID", quoted(part.type)));
  }
  ossl::check(X509_NAME_add_entry_by_OBJ(name, object.get(), string_type(form),
                                         reinterpret_cast<const unsigned char*>(part.value.data()),
                                         static_cast<int>(part.value.size()), place, set) == 1,
              "add a field to the subject");
}

ossl::Name new_name() { return ossl::Name(ossl::check_ptr(X509_NAME_new(), "make a name")); }

// Reads RFC 4514 text from left to right.
class NameReader {
 public:
  explicit NameReader(std::string_view text) : text_(text) {}

  // RDNs in the order of the text.
  std::vector<std::vector<SubjectPart>> read() {
    std::vector<std::vector<SubjectPart>> rdns;
    char before = ',';
    while (true) {
      SubjectPart part{read_type(), read_value()};
      if (before == ',') rdns.emplace_back();
      rdns.back().push_back(std::move(part));
      if (at_ == text_.size()) return rdns;
      before = text_[at_++];
    }
  }

 private:
  [[noreturn]] void refuse(std::string_view cause) const {
    throw Error(Kind::usage, fmt::format("the subject {}: {}", quoted(text_), cause))
        .hint(R"(write it as CN=www.example.com,O=Example Ltd,C=HK, a comma in a value as \,)");
  }

  std::string read_type() {
    const std::size_t equals = text_.find('=', at_);
    if (equals == std::string_view::npos) {
      refuse(fmt::format("no '=' after {}", quoted(trim(text_.substr(at_)))));
    }
    const std::string_view type = trim(text_.substr(at_, equals - at_));
    if (type.empty()) refuse("a field has no name");
    at_ = equals + 1;
    return std::string(type);
  }

  std::string read_value() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    if (at_ < text_.size() && text_[at_] == '#') refuse("values in hexadecimal are not taken");
    std::string value;
    std::size_t kept = 0;  // spaces at the end that are not escaped do not count
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '+') {
      const char c = text_[at_];
      if (c == '\\') {
        value += read_escape();
        kept = value.size();
        continue;
      }
      if (std::strchr("\";<>", c) != nullptr && c != '\0') {
        refuse(fmt::format("a {} in a value must be written as \\{}", c, c));
      }
      value += c;
      if (c != ' ') kept = value.size();
      ++at_;
    }
    value.resize(kept);
    return value;
  }

  char read_escape() {
    const std::string_view rest = text_.substr(at_ + 1);
    if (!rest.empty() && std::strchr(" \"#+,;<=>\\", rest[0]) != nullptr && rest[0] != '\0') {
      at_ += 2;
      return rest[0];
    }
    const auto byte = parse_hex(rest.substr(0, 2));
    if (rest.size() < 2 || !byte || byte->size() != 1) {
      refuse("a '\\' must be followed by the character it stands for or by two hex digits");
    }
    at_ += 3;
    return static_cast<char>((*byte)[0]);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string type_text(const X509_NAME_ENTRY* entry) {
  const std::string oid = oid_text(X509_NAME_ENTRY_get_object(entry));
  const AttributeType* known = type_named(oid);
  return known != nullptr ? known->name : oid;
}

struct Value {
  std::string text;  // UTF-8, or the DER in hex
  bool is_text;
};

Value value_of(const X509_NAME_ENTRY* entry) {
  const ASN1_STRING* string = X509_NAME_ENTRY_get_data(entry);
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, string);
  const ossl::OpensslBytes owned(utf8);
  if (size >= 0) {
    std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    if (is_utf8(text)) return {std::move(text), true};
  }
  ossl::clear_errors();
  return {"#" + hex(ossl::der_of(i2d_ASN1_PRINTABLE, string)), false};
}

// RFC 4514, 2.4, with every character that printable() would not leave as it is in hex pairs.
std::string escaped(std::string_view value) {
  std::string out;
  std::size_t at = 0;
  while (at < value.size() && out.size() < kTextLimit) {
    std::size_t size = 1;
    while (at + size < value.size() &&
           (static_cast<unsigned char>(value[at + size]) & 0xc0) == 0x80) {
      ++size;
    }
    const std::string_view character = value.substr(at, size);
    const bool edge = (at == 0 && (character == " " || character == "#")) ||
                      (at + 1 == value.size() && character == " ");
    if (edge ||
        (size == 1 && std::string_view("\"+,;<>\\").find(character) != std::string_view::npos)) {
      out += '\\';
      out += character;
    } else if (printable(character) == character) {
      out += character;
    } else {
      for (const char byte : character) {
        out += fmt::format("\\{:02X}", static_cast<unsigned>(static_cast<unsigned char>(byte)));
      }
    }
    at += size;
  }
  return out;
}

}  // namespace

ossl::Name parse_name(std::string_view text) {
  if (text.size() > kTextLimit) throw Error(Kind::usage, "the subject: it is longer than 8 KiB");
  if (trim(text).empty()) throw Error(Kind::usage, "the subject: it is empty");
  if (trim(text).front() == '/') {
    throw Error(Kind::usage, fmt::format("the subject {}: it begins with '/'", quoted(text)))
        .hint("write it as CN=www.example.com,O=Example Ltd,C=HK");
  }
  const auto rdns = NameReader(text).read();
  ossl::Name name = new_name();
  for (auto rdn = rdns.rbegin(); rdn != rdns.rend(); ++rdn) {
    int set = 0;
    for (const SubjectPart& part : *rdn) {
      add_part(name.get(), part, set);
      set = -1;
    }
  }
  return name;
}

ossl::Name name_from_parts(std::span<const SubjectPart> parts) {
  const auto rank = [](const SubjectPart& part) {
    const AttributeType* known = type_named(part.type);
    return known != nullptr ? known->rank : 5;
  };
  std::vector<SubjectPart> ordered(parts.begin(), parts.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](const SubjectPart& a, const SubjectPart& b) { return rank(a) < rank(b); });
  ossl::Name name = new_name();
  for (const SubjectPart& part : ordered) add_part(name.get(), part, 0);
  return name;
}

void replace_value(X509_NAME* name, int index, const std::string& value) {
  using Entry = std::unique_ptr<X509_NAME_ENTRY, ossl::Deleter<X509_NAME_ENTRY_free>>;
  const auto set_at = [&](int at) {
    const bool there = at >= 0 && at < X509_NAME_entry_count(name);
    return there ? X509_NAME_ENTRY_set(X509_NAME_get_entry(name, at)) : -1;
  };
  const int joined = set_at(index) == set_at(index - 1)   ? -1
                     : set_at(index) == set_at(index + 1) ? 1
                                                          : 0;
  const Entry old(ossl::check_ptr(X509_NAME_delete_entry(name, index), "change a subject"));
  add_part(name, {type_text(old.get()), value}, joined, index);
}

std::string name_text(const X509_NAME* name) {
  std::string text;
  int last_set = 0;
  const int count = X509_NAME_entry_count(name);
  for (int i = count - 1; i >= 0; --i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const int set = X509_NAME_ENTRY_set(entry);
    if (i != count - 1) text += set == last_set ? '+' : ',';
    last_set = set;
    const Value value = value_of(entry);
    text += type_text(entry) + "=" + (value.is_text ? escaped(value.text) : value.text);
    if (text.size() > kTextLimit) {
      text.resize(kTextLimit);
      while ((static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
      if (static_cast<unsigned char>(text.back()) >= 0xc0) text.pop_back();
      return text + fmt::format("[cut, {} fields]", count);
    }
  }
  return text;
}

std::vector<SubjectPart> name_parts(const X509_NAME* name) {
  std::vector<SubjectPart> parts;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    parts.push_back({type_text(entry), value_of(entry).text});
  }
  return parts;
}

std::string last_value(const X509_NAME* name, std::string_view type) {
  std::string value;
  for (const SubjectPart& part : name_parts(name)) {
    if (part.type == type) value = part.value;
  }
  return value;
}

bool same_name(const X509_NAME* a, const X509_NAME* b) { return X509_NAME_cmp(a, b) == 0; }

bool same_encoding(const X509_NAME* a, const X509_NAME* b) {
  return equal(ossl::der_of(i2d_X509_NAME, a), ossl::der_of(i2d_X509_NAME, b));
}

}  // namespace hsmith::x509
