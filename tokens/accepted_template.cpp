#include "tokens/accepted_template.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pkcs11/names.h"
#include "src/base/error.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

constexpr std::array kRefusals{"CKR_ATTRIBUTE_TYPE_INVALID", "CKR_ATTRIBUTE_VALUE_INVALID",
                               "CKR_TEMPLATE_INCONSISTENT", "CKR_TEMPLATE_INCOMPLETE"};

// Flags that hsmith sends so that nothing is left to a token's taste, and that let nobody do
// anything with the private key when they are left out.
constexpr std::array<CK_ATTRIBUTE_TYPE, 5> kHarmless{CKA_SIGN_RECOVER, CKA_VERIFY_RECOVER,
                                                     CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP};
// What a key could be made without, if only to see which of it the token refuses.
constexpr std::array<CK_ATTRIBUTE_TYPE, 12> kOptional{
    CKA_PRIVATE,    CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_WRAP_WITH_TRUSTED,
    CKA_MODIFIABLE, CKA_SIGN,      CKA_DECRYPT,     CKA_DERIVE,
    CKA_UNWRAP,     CKA_LABEL,     CKA_ID,          CKA_TRUSTED};

template <typename List>
bool contains(const List& list, CK_ATTRIBUTE_TYPE type) {
  return std::find(list.begin(), list.end(), type) != list.end();
}

// An attribute in one of the templates.
struct Place {
  std::size_t index;
  CK_ATTRIBUTE_TYPE type;
};

// An attribute that the token does not take: at all, or only where another one is, too.
struct Culprit {
  Place place;
  std::optional<Place> beside = {};
};

std::vector<Place> optional_places(std::span<const Template> templates) {
  std::vector<Place> places;
  for (std::size_t i = 0; i < templates.size(); ++i) {
    for (const auto& [type, value, size] : templates[i].view()) {
      if (contains(kOptional, type) || contains(kHarmless, type)) places.push_back({i, type});
    }
  }
  return places;
}

std::string name_of(const Culprit& culprit) {
  const std::string name = pkcs11::attribute_name(culprit.place.type);
  if (!culprit.beside) return name;
  return fmt::format("{} together with {}", name, pkcs11::attribute_name(culprit.beside->type));
}

std::vector<Template> without(std::vector<Template> templates, std::span<const Place> places) {
  for (const auto& [index, type] : places) templates[index].leave_out(type);
  return templates;
}

// Tries with session objects, in a session of its own.
class Search {
 public:
  Search(const OpenToken& token, std::span<const Template> templates, const MakeObjects& make)
      : make_(make),
        session_(pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_write)) {
    for (const Template& one : templates) {
      templates_.push_back(one);
      templates_.back().leave_out(CKA_TOKEN).set_bool(CKA_TOKEN, false);
    }
  }
  ~Search() {
    try {
      session_->close();
    } catch (const std::exception&) {  // C_Finalize closes it too
    }
  }

  // Empty when it cannot be found out. Those that protect nothing come first: the others may be
  // needed for each other (a wrapping key's CKA_UNWRAP_TEMPLATE asks for some).
  std::vector<Culprit> culprits() {
    std::vector<Place> harmless = optional_places(templates_);
    std::vector<Place> needed;
    std::erase_if(harmless, [&](const Place& place) {
      if (contains(kHarmless, place.type)) return false;
      needed.push_back(place);
      return true;
    });
    if (accepts(needed)) return culprits_in(harmless, needed);
    if (!accepts({})) return {};
    return culprits_in(optional_places(templates_), {});
  }

 private:
  // The number of the first of `rest` with which it is not taken: what `accepts_first` says of
  // `count` is false, of 0 it is true.
  static std::size_t first_refused(std::size_t count,
                                   const std::function<bool(std::size_t)>& accepts_first) {
    std::size_t good = 0;
    std::size_t bad = count;
    while (bad - good > 1) {
      const std::size_t middle = (good + bad) / 2;
      (accepts_first(middle) ? good : bad) = middle;
    }
    return good;
  }

  // Those of `rest` that are not taken beside `always`, which is.
  std::vector<Culprit> culprits_in(std::vector<Place> rest, const std::vector<Place>& always) {
    const auto accepts_first = [&](std::size_t count) {
      return accepts(together(always, std::span(rest).first(count)));
    };
    std::vector<Culprit> found;
    while (!accepts_first(rest.size())) {
      const std::size_t at = first_refused(rest.size(), accepts_first);
      found.push_back(culprit_of(rest, at, always));
      const Place& gone = found.back().place;
      std::erase_if(
          rest, [&](const Place& one) { return one.index == gone.index && one.type == gone.type; });
    }
    return found;
  }

  // `rest[at]`, which is not taken beside those before it: alone, or because of one of them. Of two
  // the one that protects nothing is to blame.
  Culprit culprit_of(const std::vector<Place>& rest, std::size_t at,
                     const std::vector<Place>& always) {
    const std::vector<Place> with_it = together(always, std::span(rest).subspan(at, 1));
    if (!accepts(with_it)) return {rest[at]};
    const Place other = rest[first_refused(at, [&](std::size_t count) {
      return accepts(together(with_it, std::span(rest).first(count)));
    })];
    const bool other_goes = contains(kHarmless, other.type) && !contains(kHarmless, rest[at].type);
    return other_goes ? Culprit{other, rest[at]} : Culprit{rest[at], other};
  }

  static std::vector<Place> together(std::vector<Place> some, std::span<const Place> more) {
    some.insert(some.end(), more.begin(), more.end());
    return some;
  }

  // With none of the optional attributes but these.
  bool accepts(const std::vector<Place>& kept) {
    std::vector<Place> left_out = optional_places(templates_);
    std::erase_if(left_out, [&](const Place& place) {
      return std::any_of(kept.begin(), kept.end(), [&](const Place& one) {
        return one.index == place.index && one.type == place.type;
      });
    });
    try {
      for (const CK_OBJECT_HANDLE made : make_(*session_, without(templates_, left_out)))
        session_->destroy(made);
      return true;
    } catch (const Error& error) {
      if (!is_template_refusal(error)) throw;
      return false;
    }
  }

  const MakeObjects& make_;
  std::shared_ptr<pkcs11::Session> session_;
  std::vector<Template> templates_;
};

}  // namespace

bool is_template_refusal(const Error& error) {
  return std::find(kRefusals.begin(), kRefusals.end(), error.ckr()) != kRefusals.end();
}

Accepted make_as_accepted(const OpenToken& token, std::vector<Template> templates,
                          const MakeObjects& make, const std::function<void()>& clean) {
  std::optional<Error> refused;
  try {
    return {make(*token.session, templates), {}};
  } catch (const Error& error) {
    if (!is_template_refusal(error)) throw;
    refused = error;
  }
  const std::vector<Culprit> culprits = Search(token, templates, make).culprits();
  std::vector<std::string> names;
  std::vector<Place> left_out;
  for (const Culprit& culprit : culprits) {
    names.push_back(name_of(culprit));
    left_out.push_back(culprit.place);
    if (contains(kHarmless, culprit.place.type)) continue;
    throw Error(Kind::unsupported,
                fmt::format("the token does not take {}, without which the key would not be what "
                            "was asked for: {}",
                            names.back(), refused->what()))
        .ckr(refused->ckr())
        .hint("what it can do: hsmith token info");
  }
  if (culprits.empty()) {
    throw std::move(*refused).hint(
        "which attribute it is could not be found out: none is to blame alone");
  }
  clean();
  return {make(*token.session, without(templates, left_out)),
          {fmt::format("the token does not take {}; the key was made without it",
                       fmt::join(names, ", "))}};
}

}  // namespace hsmith::tokens
