// The exchange certificates of an authority: to which of them keys on their way to an archive may
// still be encrypted.
#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <string>

#include "src/ca/store.h"

namespace hsmith::ca {

// How long after the end of an exchange certificate requests that were made with it are taken.
inline constexpr std::time_t kExchangeGrace = std::time_t{7} * 86400;

// The exchange certificate that `is_it` is true of; nullopt when there is none.
std::optional<Issued> find_exchange(Database& store, const std::function<bool(X509*)>& is_it);

// Why no key that is encrypted to this exchange certificate is taken; "" when it is: it is one of
// the two newest, is not revoked, and is valid or has ended within the grace.
std::string exchange_problem(Database& store, const Issued& exchange, std::time_t now);

}  // namespace hsmith::ca
