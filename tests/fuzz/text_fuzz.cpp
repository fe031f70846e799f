// Escaping: whatever comes in, one line of well-formed UTF-8 without control characters comes out.
#include <algorithm>
#include <cstdlib>

#include "src/base/bytes.h"
#include "src/base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::string_view text = as_text({data, size});
  const std::string out = printable(text);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (!is_utf8(out) || std::any_of(out.begin(), out.end(), is_control)) std::abort();
  if (out.size() > 1100) std::abort();
  if (const auto time = parse_time(text)) {
    if (parse_time(rfc3339(*time)) != time) std::abort();
  }
  return 0;
}
