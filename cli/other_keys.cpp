#include "cli/other_keys.h"

#include <fmt/format.h>

#include "src/recovery/other_keys.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

void warn_of_other_key(Context& context, recovery::Archive& archive, X509* certificate) {
  const auto other = recovery::other_valid_key(archive, certificate, std::time(nullptr));
  if (!other) return;
  const auto facts = x509::certificate_facts(other.get());
  context.warn(
      fmt::format("{} has another valid key for the same purposes in the archive, serial "
                  "{}: one is to be in use at a time",
                  facts.subject, facts.serial));
}

}  // namespace hsmith::cli
