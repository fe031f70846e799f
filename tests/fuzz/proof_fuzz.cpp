// Proof bundles: what is read is what would be written again, byte for byte; all else is refused.
#include <cstdlib>

#include "src/base/error.h"
#include "tokens/proof_signature.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const tokens::Bundle bundle = tokens::parse_bundle(text, "fuzz");
    if (tokens::bundle_text(bundle) != text) std::abort();
    tokens::verify_opened(bundle.report, {}, bundle.holder);
    const tokens::Proof proof = tokens::parse_report(bundle.report, "fuzz");
    if (tokens::report_text(proof) != bundle.report) std::abort();
    // Nothing that worked may be told as a key that stays inside.
    bool worked = false;
    for (const tokens::Attack& attack : proof.attacks)
      worked |= attack.result == tokens::AttackResult::worked && attack.kind == "wrap";
    if (worked && tokens::way_out(proof).empty()) std::abort();
    if (tokens::facts_of(proof).size() != 7) std::abort();
  } catch (const Error& error) {
    if (error.kind() == Kind::internal) std::abort();
  }
  return 0;
}
