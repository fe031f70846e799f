// The audit log: a malformed one is a verdict, never a crash, and an append keeps it whole.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "src/audit/checkpoint.h"
#include "src/audit/log.h"
#include "src/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::filesystem::path log =
      std::filesystem::temp_directory_path() / ("audit-fuzz-" + std::to_string(getpid()));
  std::ofstream(log, std::ios::binary | std::ios::trunc) << as_text({data, size});
  try {
    const bool sound = audit::verify(log, std::nullopt).problem.empty();
    audit::append(log, {{"event", "fuzz"}}, audit::Flush::no);
    if (sound && !audit::verify(log, std::nullopt).problem.empty()) std::abort();
  } catch (const Error&) {
  }
  try {
    audit::parse_checkpoint({data, size}, "input");
  } catch (const Error&) {
  }
  return 0;
}
