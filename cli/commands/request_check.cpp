// hsmith request check: a request against a profile and against what an authority would refuse.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/findings.h"
#include "src/base/text.h"
#include "src/x509/lint.h"
#include "src/x509/profile.h"
#include "src/x509/request.h"
#include "src/x509/weak_key_list.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::string profile;
};

Outcome run(const Options& options, Context& context) {
  std::optional<x509::Profile> profile;
  if (!options.profile.empty())
    profile = x509::load_profile(options.profile, profile_folder(context));
  const ossl::Request request = x509::parse_request(read_file(options.file), quoted(options.file));
  auto findings = x509::lint_request(request.get(), profile ? &*profile : nullptr);
  for (x509::Finding& finding :
       x509::debian_weakness(x509::public_key_of(request.get()), x509::kWeakKeyLists))
    findings.push_back(std::move(finding));
  Outcome outcome;
  outcome.exit = x509::has_errors(findings) ? 3 : 0;
  outcome.data = {{"acceptable", outcome.exit == 0}, {"findings", findings_json(findings)}};
  for (const x509::Finding& finding : findings) {
    outcome.text += fmt::format("{}: {} ({})\n", x509::severity_name(finding.severity),
                                finding.text, finding.code);
  }
  outcome.text += outcome.exit == 0 ? "acceptable\n" : "an authority would refuse it\n";
  return outcome;
}

}  // namespace

void add_request_check(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "Certificate request, PEM or DER").required();
  command.add_option("--profile", options->profile,
                     "A profile that hsmith brings along, such as server, or one of your own");
  command.footer(
      "Examples:\n  hsmith request check web.csr --profile server\n  hsmith request check web.csr "
      "--json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
