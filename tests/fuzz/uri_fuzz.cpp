// URIs and selectors: what is accepted comes back the same, and never with a PIN.
#include <cstdlib>

#include "src/base/error.h"
#include "tokens/selector.h"
#include "tokens/uri.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::string_view text = as_text({data, size});
  try {
    const std::string printed = tokens::format(tokens::parse_uri(text));
    if (tokens::format(tokens::parse_uri(printed)) != printed) std::abort();
    // As an attribute; within a name the sign of equality is percent-encoded.
    if (printed.find("pin-value=") != std::string::npos) std::abort();
  } catch (const Error&) {
  }
  try {
    tokens::parse_selector(text);
    tokens::check_new_label(text);
    // A label that may be made can be named again.
    if (tokens::parse_selector(text).label != std::string(text)) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
