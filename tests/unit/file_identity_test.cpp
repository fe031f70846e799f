#include "src/base/file_identity.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace hsmith {
namespace {

using tests::TemporaryFolder;

TEST(FileIdentity, AFileIsTheSameByWhateverNameItIsReached) {
  const TemporaryFolder folder;
  const std::string file = folder.write("f", "x");
  const std::string other = folder.write("other", "x");
  std::filesystem::create_directory_symlink(folder.path(), folder / "link");
  EXPECT_TRUE(is_same_file(file, folder / "./f"));
  EXPECT_TRUE(is_same_file(file, folder / "link/f"));
  EXPECT_FALSE(is_same_file(file, other));
  EXPECT_TRUE(is_same_file(folder / "none", folder / "link/./none"));
  EXPECT_FALSE(is_same_file(file, folder / "none"));
  EXPECT_FALSE(is_same_file("", ""));
  EXPECT_FALSE(is_same_file("-", "-"));
  EXPECT_FALSE(is_same_file("/dev/null", "/dev/null"));
}

}  // namespace
}  // namespace hsmith
