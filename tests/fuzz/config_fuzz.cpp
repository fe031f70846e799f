// The configuration: read, or refused with a reason.
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "cli/config.h"
#include "src/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("config-fuzz-" + std::to_string(getpid()));
  std::ofstream(file, std::ios::binary | std::ios::trunc) << as_text({data, size});
  std::filesystem::permissions(
      file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  try {
    cli::load_config(file.string(), Environment{});
  } catch (const Error&) {
  }
  return 0;
}
