// hsmith pfx merge: the keys and certificates of several PKCS#12 files in one.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/passwords.h"
#include "cli/pfx_file.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/pfx_check.h"

namespace hsmith::cli {
namespace {

struct Options {
  PfxSources sources;
  std::string output;
  std::optional<std::string> password;
  bool legacy = false;
};

// A key that fits none of its certificates would be handed on as if it did.
void refuse_misfits(const std::vector<OpenPfx>& files) {
  for (const OpenPfx& pfx : files) {
    for (const auto& finding : recovery::check_pairs(pfx.content)) {
      if (finding.severity == x509::Severity::error)
        throw Error(Kind::mismatch, fmt::format("merge {}: {}", quoted(pfx.file), finding.text));
    }
  }
}

Outcome run(const Options& options, Context& context) {
  guard_keys(context);
  check_output(options.output, context.replace());
  std::vector<OpenPfx> files = open_pfx_files(context, options.sources);
  refuse_misfits(files);
  recovery::Pfx merged;
  for (OpenPfx& pfx : files) recovery::merge_into(merged, std::move(pfx.content));
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create, fmt::format("{} with {} keys and {} certificates", options.output,
                                            merged.keys.size(), merged.certificates.size())}});
  }
  const Secret password = new_password(context, options.password, options.output);
  const auto style = options.legacy ? recovery::PfxStyle::old_windows : recovery::PfxStyle::modern;
  write_file(options.output, recovery::write_pfx(merged, password, style), kPrivateFile,
             context.replace());
  Outcome outcome;
  outcome.data = {{"file", json_text(options.output)},
                  {"keys", merged.keys.size()},
                  {"certificates", merged.certificates.size()}};
  outcome.text = fmt::format("{}: {} keys, {} certificates\n", printable(options.output),
                             merged.keys.size(), merged.certificates.size());
  return outcome;
}

}  // namespace

void add_pfx_merge(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_pfx_sources(command, options->sources);
  command.add_option("-o,--output", options->output, "File to write").required();
  command.add_option("--out-password-source", options->password,
                     "Password of the new file: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt");
  command.add_flag("--legacy", options->legacy,
                   "3DES and SHA-1, for Windows before Windows 10 and Server 2019");
  command.footer(
      "Examples:\n  hsmith pfx merge old.p12 new.p12 -o all.p12\n"
      "  hsmith pfx merge a.p12 b.p12 --password-source file:a.pw --password-source file:b.pw "
      "--out-password-source file:all.pw -o all.p12");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
