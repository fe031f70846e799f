// hsmith pfx show: what a PKCS#12 file holds, and how it is protected.

#include "cli/commands.h"
#include "cli/passwords.h"
#include "cli/pfx_file.h"

namespace hsmith::cli {
namespace {

Outcome run(const PfxSources& sources, Context& context) {
  guard_keys(context);
  Outcome outcome;
  outcome.data["files"] = Json::array();
  for (const OpenPfx& pfx : open_pfx_files(context, sources)) {
    outcome.data["files"].push_back(pfx_json(pfx));
    outcome.text += pfx_text(pfx);
  }
  return outcome;
}

}  // namespace

void add_pfx_show(Arguments& command, Context& context) {
  auto sources = std::make_shared<PfxSources>();
  add_pfx_sources(command, *sources);
  command.footer(
      "Examples:\n  hsmith pfx show alice.p12\n"
      "  hsmith pfx show alice.p12 --password-source file:alice.password --json");
  command.callback([sources, &context] {
    context.run = [sources, &context] { return run(*sources, context); };
  });
}

}  // namespace hsmith::cli
