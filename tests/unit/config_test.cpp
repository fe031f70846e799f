#include "cli/config.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using tests::error_of;
using tests::TemporaryFolder;
namespace fs = std::filesystem;

class ConfigTest : public testing::Test {
 protected:
  Config load(std::string_view content) {
    return load_config(folder_.write("config.toml", content), {});
  }
  // The message behind the file's name: ", line 2: ...".
  std::string cause(std::string_view content) {
    const Error error = error_of([&] { load(content); });
    EXPECT_EQ(error.kind(), Kind::configuration);
    EXPECT_EQ(error.exit_status(), 2);
    const std::string message = error.what();
    const std::string start = "read the configuration \"" + folder_ / "config.toml" + "\"";
    EXPECT_EQ(message.substr(0, start.size()), start);
    return message.substr(std::min(start.size(), message.size()));
  }
  TemporaryFolder folder_;
};

TEST_F(ConfigTest, ReadsEveryKey) {
  const Config config = load(R"(
module = "softhsm2"
module_init = "configdir='/x'"
token = "prod"
pin_source = "file:/p"
so_pin_source = "cmd:pass show so"
[audit]
file = "/a.log"
flush = "always"
[lock]
folder = "/l"
[archive]
url = "sqlite:/x.db"
seal_cert = "/seal.pem"
[recover]
officers = ["/o1.pem", "/o2.pem"]
[trust]
anchors = ["/ca.pem", "system"]
crls = ["/ca.crl"]
[quirks."softhsm 2.6"]
rewrites_at_login = true
limit = 3
name = "x"
)");
  EXPECT_EQ(config.path, folder_ / "config.toml");
  EXPECT_EQ(config.module, "softhsm2");
  EXPECT_EQ(config.module_init, "configdir='/x'");
  EXPECT_EQ(config.token, "prod");
  EXPECT_EQ(config.pin_source, "file:/p");
  EXPECT_EQ(config.so_pin_source, "cmd:pass show so");
  EXPECT_EQ(config.audit_file, "/a.log");
  EXPECT_EQ(config.audit_flush, AuditFlush::always);
  EXPECT_EQ(config.lock_folder, "/l");
  EXPECT_EQ(config.archive_url, "sqlite:/x.db");
  EXPECT_EQ(config.archive_seal_cert, "/seal.pem");
  EXPECT_THAT(config.recover_officers, ElementsAre("/o1.pem", "/o2.pem"));
  EXPECT_THAT(config.trust_anchors, ElementsAre("/ca.pem", "system"));
  EXPECT_THAT(config.trust_crls, ElementsAre("/ca.crl"));
  EXPECT_THAT(config.quirks,
              ElementsAre(Pair("softhsm 2.6", ElementsAre(Pair("limit", "3"), Pair("name", "x"),
                                                          Pair("rewrites_at_login", "true")))));
}

TEST_F(ConfigTest, AnEmptyFileSetsNothing) {
  const Config config = load("");
  EXPECT_EQ(config.path, folder_ / "config.toml");
  EXPECT_FALSE(config.module);
  EXPECT_EQ(config.audit_flush, AuditFlush::changes);
  EXPECT_THAT(config.quirks, IsEmpty());
}

TEST_F(ConfigTest, FilesAreRelativeToTheFoldersConfiguration) {
  const Config config = load(
      "module = \"lib/x.so\"\n[audit]\nfile = \"a.log\"\n[trust]\nanchors = [\"../ca.pem\"]\n");
  EXPECT_EQ(config.module, folder_ / "lib/x.so");
  EXPECT_EQ(config.audit_file, folder_ / "a.log");
  EXPECT_THAT(config.trust_anchors, ElementsAre(folder_.path().parent_path() / "ca.pem"));
}

TEST_F(ConfigTest, AnUnknownKeyIsNamedWithItsLineAndTheNearest) {
  EXPECT_EQ(cause("token = \"a\"\npin_sorce = \"x\"\n"),
            ", line 2: there is no key \"pin_sorce\", did you mean \"pin_source\"?");
  EXPECT_EQ(cause("[audit]\n\nfiel = \"x\"\n"),
            ", line 3: there is no key \"audit.fiel\", did you mean \"audit.file\"?");
  EXPECT_EQ(cause("[adit]\nfile = \"x\"\n"),
            ", line 1: there is no key \"adit\", did you mean \"audit\"?");
  EXPECT_EQ(cause("zzzzzzzz = 1\n"), ", line 1: there is no key \"zzzzzzzz\"");
  EXPECT_THAT(cause("[audit.more]\nx = 1\n"), HasSubstr("there is no key \"audit.more\""));
}

TEST_F(ConfigTest, AWrongTypeSaysWhichIsRight) {
  EXPECT_EQ(cause("\ntoken = 3\n"), ", line 2: \"token\" must be a text in quotes");
  EXPECT_EQ(cause("audit = \"x\"\n"), ", line 1: \"audit\" must be a section: [audit]");
  EXPECT_EQ(cause("[trust]\nanchors = \"x\"\n"),
            ", line 2: \"trust.anchors\" must be a list in brackets");
  EXPECT_EQ(cause("[trust]\nanchors = [\"x\", 3]\n"),
            ", line 2: \"trust.anchors\" must be a text in quotes");
  EXPECT_EQ(cause("[audit]\nflush = \"never\"\n"),
            ", line 2: \"audit.flush\" is \"always\" or \"changes\", not \"never\"");
  EXPECT_EQ(cause("[quirks.x]\na = 1.5\n"),
            ", line 2: \"quirks.\"x\".a\" must be a text, a whole number, true or false");
  EXPECT_THAT(cause("[quirks]\nx = 1\n"), HasSubstr("must be a section"));
}

TEST_F(ConfigTest, WhatIsNotTomlIsAnErrorWithItsLine) {
  EXPECT_THAT(cause("token = \"a\"\n= 3\n"), HasSubstr(", line 2: "));
  EXPECT_THAT(cause("token = \"a\"\ntoken = \"b\"\n"), HasSubstr(", line 2: "));
  EXPECT_THAT(cause("token = \"\xff\"\n"), HasSubstr(", line 1: "));
  EXPECT_THAT(cause("token = " + std::string(5000, '[')), HasSubstr(", line 1: "));
}

TEST_F(ConfigTest, AFileThatOthersMayWriteToIsRefused) {
  const std::string path = folder_.write("config.toml", "", 0664);
  const Error error = error_of([&] { load_config(path, {}); });
  EXPECT_EQ(error.kind(), Kind::unsafe_permissions);
  EXPECT_EQ(error.exit_status(), 7);
  EXPECT_THAT(error.what(), HasSubstr("others may write to it"));
}

TEST_F(ConfigTest, AFileThatIsTooLargeIsRefused) {
  const Error error = error_of([&] { load(std::string((1u << 20) + 1, '\n')); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_THAT(error.what(), HasSubstr("larger than the 1024 KiB"));
}

TEST_F(ConfigTest, AFileThatWasNamedMustBeThere) {
  EXPECT_EQ(error_of([&] { load_config(folder_ / "none", {}); }).kind(), Kind::io);
}

TEST_F(ConfigTest, TheUsersFileIsTakenWhenItIsThereAndNoneNeedBe) {
  Environment environment;
  environment.configuration_folder = folder_.path();
  const std::string system = "/etc/hsmith/config.toml";
  EXPECT_EQ(load_config(std::nullopt, environment).path, fs::exists(system) ? system : "");
  folder_.write("config.toml", "token = \"mine\"\n");
  EXPECT_EQ(load_config(std::nullopt, environment).token, "mine");
  const std::string other = folder_.write("other.toml", "token = \"other\"\n");
  EXPECT_EQ(load_config(other, environment).token, "other");
}

TEST_F(ConfigTest, TheNullDeviceStandsForNoFile) {
  Environment environment;
  environment.configuration_folder = folder_.path();
  folder_.write("config.toml", "token = \"mine\"\n");
  EXPECT_FALSE(load_config("/dev/null", environment).token);
}

TEST_F(ConfigTest, TextFromTheFileIsMadeVisibleInMessages) {
  EXPECT_THAT(cause("\"a\\u001b[2J\" = 1\n"), HasSubstr("\"a\\x1b[2J\""));
}

}  // namespace
}  // namespace hsmith::cli
