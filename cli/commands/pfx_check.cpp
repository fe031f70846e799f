// hsmith pfx check: whether each key of a PKCS#12 file fits a certificate in it, and what else is
// wrong.
#include "src/recovery/pfx_check.h"

#include <ctime>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/passwords.h"
#include "cli/pfx_file.h"
#include "src/base/text.h"
#include "src/x509/finding.h"

namespace hsmith::cli {
namespace {

Outcome run(const PfxSources& sources, Context& context) {
  guard_keys(context);
  Outcome outcome;
  outcome.data["files"] = Json::array();
  for (const OpenPfx& pfx : open_pfx_files(context, sources)) {
    const auto findings = recovery::check_pfx(pfx.content, pfx.protection, std::time(nullptr));
    const bool good = !x509::has_errors(findings);
    if (!good) outcome.exit = 3;
    outcome.data["files"].push_back({{"file", json_text(pfx.file)},
                                     {"ok", good},
                                     {"keys", pfx.content.keys.size()},
                                     {"certificates", pfx.content.certificates.size()},
                                     {"findings", findings_json(findings)}});
    outcome.text += fmt::format("{}: {}: {} keys, {} certificates\n", printable(pfx.file),
                                good ? "good" : "NOT GOOD", pfx.content.keys.size(),
                                pfx.content.certificates.size());
    for (const auto& finding : findings)
      outcome.text +=
          fmt::format("  {}: {}\n", x509::severity_name(finding.severity), finding.text);
  }
  return outcome;
}

}  // namespace

void add_pfx_check(Arguments& command, Context& context) {
  auto sources = std::make_shared<PfxSources>();
  add_pfx_sources(command, *sources);
  command.footer(
      "Examples:\n  hsmith pfx check alice.p12\n"
      "  hsmith pfx check alice.p12 bob.p12 --password-source file:password");
  command.callback([sources, &context] {
    context.run = [sources, &context] { return run(*sources, context); };
  });
}

}  // namespace hsmith::cli
