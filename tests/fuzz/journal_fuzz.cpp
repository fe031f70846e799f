// Journal entries: whatever stands in the file, it is listed and nothing is thrown.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "src/base/bytes.h"
#include "src/journal/intents.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("journal-fuzz-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "journal");
  std::ofstream(folder / "journal" / "1.json", std::ios::binary | std::ios::trunc)
      << as_text({data, size});
  if (journal::unfinished(folder).size() > 1) std::abort();
  return 0;
}
