// PKCS#12 files as commands take and show them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/recovery/pfx.h"

namespace hsmith::cli {

// One --password-source for all files, or one for each in their order.
struct PfxSources {
  std::vector<std::string> files;
  std::vector<std::string> passwords;
};
void add_pfx_sources(Arguments& command, PfxSources& sources);

struct OpenPfx {
  std::string file;
  recovery::PfxProtection protection;
  recovery::Pfx content;
};

// Opens each file: with no password where that is what it has, else with its source's, else with
// what is typed.
std::vector<OpenPfx> open_pfx_files(Context& context, const PfxSources& sources);

// Keys and certificates with how they belong together; no private value.
Json pfx_json(const OpenPfx& pfx);
std::string pfx_text(const OpenPfx& pfx);

}  // namespace hsmith::cli
