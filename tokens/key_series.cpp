#include "tokens/key_series.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/made_key.h"
#include "tokens/reading.h"

namespace hsmith::tokens {

constexpr std::size_t kMostObjects = 1'000'000;

Occupied what_is_on(const OpenToken& token) {
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 2> kNames{CKA_LABEL, CKA_ID};
  const std::string doing =
      fmt::format("look at what is on the token {}", quoted(token.info.label));
  Occupied there;
  while_doing(doing, [&] {
    there.handles = all_objects(token);
    for (const CK_OBJECT_HANDLE handle : there.handles) {
      const pkcs11::Attributes is = token.session->get(handle, kNames);
      there.labels.insert(is.text(CKA_LABEL));
      there.ids.insert(is.bytes(CKA_ID));
    }
    return true;
  });
  return there;
}

void check_free(const OpenToken& token, const Occupied& there, const std::string& label) {
  if (!there.labels.contains(label)) return;
  throw Error(Kind::exists, fmt::format("use the label {} on the token {}: it is taken",
                                        quoted(label), quoted(token.info.label)))
      .hint("see what has it with: hsmith key list");
}

void check_all_there(const OpenToken& token, std::span<const Key> keys) {
  const std::string doing =
      fmt::format("find {} new keys on the token {}", keys.size(), quoted(token.info.label));
  pkcs11::Template wanted;
  wanted.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
  const auto found = while_doing(doing, [&] { return token.session->find(wanted, kMostObjects); });
  for (const Key& key : keys) {
    if (std::binary_search(found.begin(), found.end(), key.handle)) continue;
    throw Error(Kind::token_failed, fmt::format("{}: it does not list {}", doing, key.uri))
        .hint("see what is there with: hsmith key list");
  }
}

}  // namespace hsmith::tokens
