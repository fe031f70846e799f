#include "cli/findings.h"

#include <fmt/format.h>

#include "src/base/error.h"

namespace hsmith::cli {

void refuse_errors(std::span<const x509::Finding> findings, const std::string& doing,
                   Context& context) {
  for (const x509::Finding& finding : findings) {
    if (finding.severity == x509::Severity::error) continue;
    if (finding.severity == x509::Severity::warning) {
      context.warn(finding.text);
    } else {
      context.tell(finding.text);
    }
  }
  for (const x509::Finding& finding : findings) {
    if (finding.severity != x509::Severity::error) continue;
    throw Error(Kind::refused, fmt::format("{}: {}", doing, finding.text)).hint(finding.hint);
  }
}

Json findings_json(std::span<const x509::Finding> findings) {
  Json list = Json::array();
  for (const x509::Finding& finding : findings) {
    list.push_back({{"severity", x509::severity_name(finding.severity)},
                    {"code", finding.code},
                    {"text", json_text(finding.text)}});
  }
  return list;
}

std::string profile_folder(const Context& context) {
  return (context.environment.configuration_folder / "profiles").string();
}

}  // namespace hsmith::cli
