#include "src/x509/domain_name.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <dlfcn.h>
#include <fmt/format.h>
#include <idn2.h>
#include <memory>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::x509 {
namespace {

[[noreturn]] void refuse(std::string_view name, std::string_view cause) {
  throw Error(Kind::usage, fmt::format("the name dns:{}: {}", quoted(name), cause));
}

// Letters, digits and hyphens, as RFC 5280, 4.2.1.6 takes them from RFC 1034, 3.5.
void check_labels(std::string_view whole, std::string_view domain) {
  if (domain.size() > 253) refuse(whole, "it is longer than 253 characters");
  const std::vector<std::string> labels = split(domain, '.');
  if (labels.empty()) refuse(whole, "it is empty");
  for (const std::string& label : labels) {
    if (label.empty()) refuse(whole, "it has an empty label, or a dot at an end");
    if (label.size() > 63) refuse(whole, "it has a label longer than 63 characters");
    if (label.find('*') != std::string::npos) {
      refuse(whole, "a '*' may stand only for the whole left-most label");
    }
    if (label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
      refuse(whole, "only letters, digits and hyphens may stand in a label");
    }
    if (label.front() == '-' || label.back() == '-') {
      refuse(whole, "a label may not begin or end with a hyphen");
    }
  }
  if (labels.back().find_first_not_of("0123456789") == std::string::npos) {
    refuse(whole, "its last label is a number; an address is written ip:192.0.2.1");
  }
}

// libidn2 and the tables behind it take longer to load than all else of a start, and hardly any
// name needs them: they are loaded with the first one that does.
struct Idna {
  decltype(&idn2_lookup_u8) lookup = nullptr;
  decltype(&idn2_strerror) message = nullptr;
};

Idna load_idna() {
  void* library = dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(Kind::unsupported,
                fmt::format("turn an internationalised name into A-labels: {}", dlerror()))
        .hint("install the package libidn2-0, or give the name as A-labels (xn--…)");
  }
  Idna idna;
  idna.lookup = reinterpret_cast<decltype(idna.lookup)>(dlsym(library, "idn2_lookup_u8"));
  idna.message = reinterpret_cast<decltype(idna.message)>(dlsym(library, "idn2_strerror"));
  if (idna.lookup == nullptr || idna.message == nullptr) {
    throw Error(Kind::internal, "libidn2 lacks a function that its header has");
  }
  return idna;
}

// IDNA2008 with the mapping of UTS 46. A-labels that stand there already are checked too.
std::string to_a_labels(std::string_view whole, std::string_view domain) {
  if (!is_utf8(domain) || domain.find('\0') != std::string_view::npos) {
    refuse(whole, "it is not UTF-8 text");
  }
  static const Idna idna = load_idna();
  unsigned char* found = nullptr;
  const std::string terminated(domain);
  const int status = idna.lookup(reinterpret_cast<const unsigned char*>(terminated.c_str()), &found,
                                 IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
  const std::unique_ptr<unsigned char, decltype(&std::free)> owned(found, &std::free);
  if (status != IDN2_OK) refuse(whole, idna.message(status));
  return std::string(reinterpret_cast<const char*>(found));
}

bool is_beyond_ascii(char c) { return static_cast<signed char>(c) < 0; }

}  // namespace

std::string domain_name(std::string_view text, std::vector<std::string>& notices) {
  std::string_view domain = text;
  const bool wildcard = domain.substr(0, 2) == "*.";
  if (wildcard) domain.remove_prefix(2);
  if (domain.size() > 1024) refuse(text, "it is longer than 253 characters");
  std::string ascii = lower(domain);
  const bool has_a_label = ascii.rfind("xn--", 0) == 0 || ascii.find(".xn--") != std::string::npos;
  const bool unicode = std::any_of(ascii.begin(), ascii.end(), is_beyond_ascii);
  if (unicode || has_a_label) ascii = to_a_labels(text, ascii);
  check_labels(text, ascii);
  if (wildcard) ascii.insert(0, "*.");
  if (ascii.size() > 253) refuse(text, "it is longer than 253 characters");
  if (unicode) {
    notices.push_back(fmt::format("the name {} is written as {}", quoted(text), ascii));
  }
  return ascii;
}

bool is_international_domain(std::string_view text) {
  const std::string_view domain = text.substr(0, 2) == "*." ? text.substr(2) : text;
  const std::size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == domain.size()) return false;
  const auto fits = [](char c) {
    return is_beyond_ascii(c) || std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
           c == '.';
  };
  const std::string_view last = domain.substr(dot + 1);
  const auto beyond = std::count_if(last.begin(), last.end(), is_beyond_ascii);
  return std::any_of(domain.begin(), domain.end(), is_beyond_ascii) &&
         std::all_of(domain.begin(), domain.end(), fits) &&
         (beyond == 0 || static_cast<std::size_t>(beyond) == last.size());
}

}  // namespace hsmith::x509
