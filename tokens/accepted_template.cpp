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

std::vector<Place> optional_places(std::span<const Template> templates) {
  std::vector<Place> places;
  for (std::size_t i = 0; i < templates.size(); ++i) {
    for (const auto& [type, value, size] : templates[i].view()) {
      if (contains(kOptional, type) || contains(kHarmless, type)) places.push_back({i, type});
    }
  }
  return places;
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

  // Empty when no attribute is to blame alone. Those that protect nothing come first: the others
  // may be needed for each other (a wrapping key's CKA_UNWRAP_TEMPLATE asks for some).
  std::vector<Place> culprits() {
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
  // Those of `rest` that are not taken beside `always`, which is.
  std::vector<Place> culprits_in(std::vector<Place> rest, const std::vector<Place>& always) {
    const auto accepts_first = [&](std::size_t count) {
      std::vector<Place> kept = always;
      kept.insert(kept.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(count));
      return accepts(kept);
    };
    std::vector<Place> found;
    while (!accepts_first(rest.size())) {
      std::size_t good = 0;
      std::size_t bad = rest.size();
      while (bad - good > 1) {
        const std::size_t middle = (good + bad) / 2;
        (accepts_first(middle) ? good : bad) = middle;
      }
      found.push_back(rest[good]);
      rest.erase(rest.begin() + static_cast<ptrdiff_t>(good));
    }
    return found;
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
  const std::vector<Place> culprits = Search(token, templates, make).culprits();
  std::vector<std::string> names;
  for (const Place& culprit : culprits) {
    names.push_back(pkcs11::attribute_name(culprit.type));
    if (contains(kHarmless, culprit.type)) continue;
    throw Error(Kind::unsupported,
                fmt::format("the token does not take {}, without which the key would not be what "
                            "was asked for: {}",
                            names.back(), refused->what()))
        .ckr(refused->ckr())
        .hint("what it can do: hsmith token info");
  }
  if (culprits.empty()) throw *refused;
  clean();
  return {make(*token.session, without(templates, culprits)),
          {fmt::format("the token does not take {}; the key was made without it",
                       fmt::join(names, ", "))}};
}

}  // namespace hsmith::tokens
