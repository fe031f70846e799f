#include "src/ca/exchange.h"

#include <fmt/format.h>
#include <functional>

#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/x509/certificate.h"

namespace hsmith::ca {

std::optional<Issued> find_exchange(Database& store, const std::function<bool(X509*)>& is_it) {
  for (Issued& one : issued_by_profile(store, kExchangeProfile)) {
    if (is_it(x509::certificate_from_der(one.certificate, store.path()).get()))
      return std::move(one);
  }
  return std::nullopt;
}

std::string exchange_problem(Database& store, const Issued& exchange, std::time_t now) {
  if (!exchange.reason.empty())
    return fmt::format("it was revoked at {} ({})", rfc3339(exchange.revoked), exchange.reason);
  const std::vector<Issued> all = issued_by_profile(store, kExchangeProfile);
  const std::size_t older = all.size() > 2 ? all.size() - 2 : 0;
  for (std::size_t i = 0; i < older; ++i) {
    if (all[i].serial == exchange.serial) return "it has had two successors";
  }
  if (now > exchange.not_after + kExchangeGrace)
    return fmt::format("it ended {}, more than {} days ago", rfc3339(exchange.not_after),
                       kExchangeGrace / 86400);
  return "";
}

}  // namespace hsmith::ca
