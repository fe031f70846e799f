#include "tokens/pin.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/files.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::tokens {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tests::error_of;
using tests::TemporaryFolder;
using SourceKind = PinSource::Kind;

// A PIN read from a source, with what was warned about.
struct Reader {
  Environment environment;
  std::vector<std::string> warnings;

  std::string pin(const std::string& source, PinRole role = PinRole::user) {
    return pin(parse_pin_source(source, "--pin-source"), role);
  }
  std::string pin(const PinSource& source, PinRole role = PinRole::user) {
    PinReading reading;
    reading.role = role;
    reading.warn = [this](const std::string& text) { warnings.push_back(text); };
    const auto secret = read_pin(source, reading, environment);
    return secret ? std::string(as_text(secret->reveal())) : "(pinpad)";
  }
  Error error(const std::string& source, PinRole role = PinRole::user) {
    return error_of([&] { pin(source, role); });
  }
};

// The reading end of a pipe that holds `content` and is closed for writing.
Descriptor pipe_with(std::string_view content) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  EXPECT_EQ(write(ends[1], content.data(), content.size()), static_cast<ssize_t>(content.size()));
  close(ends[1]);
  return Descriptor(ends[0]);
}

TEST(Pin, ReadsEachKindOfSource) {
  const auto kind_of = [](const char* text) { return parse_pin_source(text, "x").kind; };
  EXPECT_EQ(kind_of("env:NAME"), SourceKind::env);
  EXPECT_EQ(kind_of("file:/p"), SourceKind::file);
  EXPECT_EQ(kind_of("fd:3"), SourceKind::fd);
  EXPECT_EQ(kind_of("cmd:pass show x"), SourceKind::command);
  EXPECT_EQ(kind_of("prompt"), SourceKind::prompt);
  EXPECT_EQ(kind_of("pinpad"), SourceKind::pinpad);
  EXPECT_EQ(parse_pin_source("cmd:pass show x", "x").argument, "pass show x");
}

TEST(Pin, RefusesASourceThatIsNoneWithoutRepeatingIt) {
  for (const char* text : {"123456", "", "prompt:", "File:/p", "/p"}) {
    const Error error = error_of([&] { parse_pin_source(text, "--pin-source"); });
    EXPECT_EQ(error.kind(), Kind::usage) << text;
    EXPECT_STREQ(error.what(),
                 "read --pin-source: it is none of file:PATH, env:NAME, fd:N, "
                 "cmd:COMMAND, prompt and pinpad");
    EXPECT_THAT(error.hint(), HasSubstr("file:PATH"));
  }
}

TEST(Pin, RefusesASourceWithoutAUsableArgument) {
  for (const char* text :
       {"env:", "env:A=B", "file:", "fd:", "fd:x", "fd:-1", "fd:3x", "fd:99999999999", "cmd:"}) {
    EXPECT_THAT(error_of([&] { parse_pin_source(text, "x"); }).what(), HasSubstr("not usable"))
        << text;
  }
}

TEST(Pin, KnowsWhichSourcesAPersonAnswers) {
  EXPECT_TRUE(is_interactive(parse_pin_source("prompt", "x")));
  EXPECT_TRUE(is_interactive(parse_pin_source("pinpad", "x")));
  EXPECT_FALSE(is_interactive(parse_pin_source("env:X", "x")));
}

TEST(Pin, AFileGivesItsFirstLine) {
  const TemporaryFolder folder;
  Reader reader;
  EXPECT_EQ(reader.pin("file:" + folder.write("lf", "1234\nsecond\n")), "1234");
  EXPECT_EQ(reader.pin("file:" + folder.write("crlf", "1234\r\n")), "1234");
  EXPECT_EQ(reader.pin("file:" + folder.write("none", "12 34 ")), "12 34 ");
  EXPECT_THAT(reader.warnings, IsEmpty());
}

TEST(Pin, AFileThatOthersMayWriteToIsRefused) {
  const TemporaryFolder folder;
  Reader reader;
  for (const mode_t mode : {0620u, 0602u}) {
    const std::string path = folder.write("pin", "1234\n", mode);
    const Error error = reader.error("file:" + path);
    EXPECT_EQ(error.kind(), Kind::unsafe_permissions);
    EXPECT_EQ(error.exit_status(), 7);
    EXPECT_EQ(error.what(), "read the PIN from \"" + path + "\": others may write to it");
    EXPECT_EQ(error.hint(), "chmod go= " + path);
  }
}

TEST(Pin, AFileThatOthersMayReadIsAWarning) {
  const TemporaryFolder folder;
  Reader reader;
  const std::string path = folder.write("pin", "1234\n", 0644);
  EXPECT_EQ(reader.pin("file:" + path), "1234");
  EXPECT_THAT(reader.warnings,
              ElementsAre("others can read the PIN in \"" + path + "\": chmod go= " + path));
}

TEST(Pin, AFileThatIsNotThereOrIsAFolderIsAnError) {
  const TemporaryFolder folder;
  Reader reader;
  const Error absent = reader.error("file:" + folder / "absent");
  EXPECT_EQ(absent.kind(), Kind::io);
  EXPECT_THAT(absent.what(), HasSubstr("No such file"));
  EXPECT_EQ(reader.error("file:" + folder.path().string()).kind(), Kind::io);
}

TEST(Pin, AFifoThatNobodyWritesToIsEmptyAndNotWaitedFor) {
  const TemporaryFolder folder;
  const std::string path = folder / "fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(Reader().error("file:" + path).kind(), Kind::pin_invalid);
}

TEST(Pin, AVariableIsTakenOutOfTheEnvironmentAndCanBeReadAgain) {
  Reader reader;
  setenv("TEST_PIN_SOURCE_A", "1234", 1);
  EXPECT_EQ(reader.pin("env:TEST_PIN_SOURCE_A"), "1234");
  EXPECT_EQ(getenv("TEST_PIN_SOURCE_A"), nullptr);
  EXPECT_EQ(reader.pin("env:TEST_PIN_SOURCE_A"), "1234");
}

TEST(Pin, AVariableThatIsNotSetIsAMissingPin) {
  const Error error = Reader().error("env:TEST_PIN_SOURCE_B");
  EXPECT_EQ(error.kind(), Kind::pin_missing);
  EXPECT_STREQ(error.what(), "read the PIN from the variable \"TEST_PIN_SOURCE_B\": it is not set");
}

TEST(Pin, ADescriptorGivesOneLineAfterTheOther) {
  Reader reader;
  const Descriptor pipe = pipe_with("1234\n5678\n");
  const std::string source = "fd:" + std::to_string(pipe.get());
  EXPECT_EQ(reader.pin(source), "1234");
  EXPECT_EQ(reader.pin(source, PinRole::new_user), "5678");
  EXPECT_EQ(reader.error(source).kind(), Kind::pin_invalid);
  EXPECT_EQ(fcntl(pipe.get(), F_GETFD), FD_CLOEXEC);
}

TEST(Pin, ADescriptorThatIsNotOpenIsAnError) {
  const Error error = Reader().error("fd:987");
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_STREQ(error.what(), "read the PIN from descriptor 987: Bad file descriptor");
}

TEST(Pin, ACommandGivesItsFirstLine) {
  EXPECT_EQ(Reader().pin("cmd:printf '1234\\n5678\\n'"), "1234");
}

TEST(Pin, APinpadGivesNoPin) { EXPECT_EQ(Reader().pin("pinpad"), "(pinpad)"); }

TEST(Pin, AValueInTheUriWorksWithAWarning) {
  const Uri uri = parse_uri("pkcs11:token=t?pin-value=1234");
  PinOptions options;
  options.uri = &uri;
  Reader reader;
  EXPECT_EQ(reader.pin(choose_pin_source(options)), "1234");
  EXPECT_THAT(reader.warnings, ElementsAre(HasSubstr("the PIN stands in the URI")));
  EXPECT_THAT(reader.warnings, Not(ElementsAre(HasSubstr("1234"))));
}

TEST(Pin, APinThatNoTokenShouldBeSentIsRefusedWithTheReason) {
  const TemporaryFolder folder;
  Reader reader;
  const auto cause_of = [&](std::string_view content) {
    const Error error = reader.error("file:" + folder.write("pin", content));
    EXPECT_EQ(error.kind(), Kind::pin_invalid);
    EXPECT_EQ(error.exit_status(), 4);
    const std::string message = error.what();
    return message.substr(message.rfind(": ") + 2);
  };
  EXPECT_EQ(cause_of(""), "it is empty");
  EXPECT_EQ(cause_of("\n1234\n"), "it is empty");
  EXPECT_EQ(cause_of("\r\n"), "it is empty");
  EXPECT_EQ(cause_of(std::string_view("12\00034\n", 6)), "it holds a NUL byte");
  EXPECT_EQ(cause_of("12\xff\n"), "it is not UTF-8");
  EXPECT_EQ(cause_of(std::string(256, '1') + "\n"), "it is longer than 255 bytes");
  EXPECT_EQ(cause_of(std::string(100000, '1')), "it is longer than 255 bytes");
}

TEST(Pin, TheLongestPinIsTaken) {
  const TemporaryFolder folder;
  const std::string longest(255, '1');
  EXPECT_EQ(Reader().pin("file:" + folder.write("pin", longest + "\r\n")), longest);
}

TEST(Pin, MessagesSayWhichSecretIsMeant) {
  Reader reader;
  EXPECT_THAT(reader.error("env:TEST_NONE", PinRole::so).what(), HasSubstr("read the SO PIN from"));
  EXPECT_THAT(reader.error("env:TEST_NONE", PinRole::new_so).what(), HasSubstr("the new SO PIN"));
  EXPECT_THAT(reader.error("env:TEST_NONE", PinRole::password).what(), HasSubstr("the password"));
}

// Everything that could name a source; each test takes away the first.
struct AllOptions {
  Uri uri = parse_uri("pkcs11:token=t?pin-source=file:/uri");
  PinOptions options;
  AllOptions() {
    options.option = "file:/option";
    options.uri = &uri;
    options.environment = "file:/environment";
    options.has_pin_variable = true;
    options.configuration = "file:/configuration";
  }
  std::string chosen() const { return choose_pin_source(options).argument; }
};

TEST(Pin, SourcesCountInTheOrderOfTheContract) {
  AllOptions all;
  EXPECT_EQ(all.chosen(), "/option");
  all.options.option.reset();
  EXPECT_EQ(all.chosen(), "/uri");
  all.options.uri = nullptr;
  EXPECT_EQ(all.chosen(), "/environment");
  all.options.environment.reset();
  EXPECT_EQ(all.chosen(), "HSMITH_PIN");
  all.options.has_pin_variable = false;
  EXPECT_EQ(all.chosen(), "/configuration");
}

TEST(Pin, AUriWithoutAPinSourceIsPassedOver) {
  AllOptions all;
  all.options.option.reset();
  all.uri = parse_uri("pkcs11:token=t");
  EXPECT_EQ(all.chosen(), "/environment");
}

TEST(Pin, AUrisPinSourceIsAFileByPathOrByFileUri) {
  const auto path_of = [](const char* text) {
    const Uri uri = parse_uri(text);
    PinOptions options;
    options.uri = &uri;
    const PinSource source = choose_pin_source(options);
    EXPECT_EQ(source.kind, SourceKind::file);
    return source.argument;
  };
  EXPECT_EQ(path_of("pkcs11:?pin-source=/etc/pin"), "/etc/pin");
  EXPECT_EQ(path_of("pkcs11:?pin-source=file:/etc/pin"), "/etc/pin");
  EXPECT_EQ(path_of("pkcs11:?pin-source=prompt"), "prompt");
}

TEST(Pin, AUrisPinSourceThatRunsACommandIsRefused) {
  for (const char* text : {"pkcs11:?pin-source=%7Ccat", "pkcs11:?pin-source=cmd:cat"}) {
    const Uri uri = parse_uri(text);
    PinOptions options;
    options.uri = &uri;
    EXPECT_EQ(error_of([&] { choose_pin_source(options); }).kind(), Kind::refused);
  }
}

TEST(Pin, AnEmptyUriPinSourceIsRefused) {
  const Uri uri = parse_uri("pkcs11:?pin-source=file:");
  PinOptions options;
  options.uri = &uri;
  EXPECT_THAT(error_of([&] { choose_pin_source(options); }).what(), HasSubstr("it is empty"));
}

TEST(Pin, WithoutASourceTheHintShowsHowToGiveOne) {
  const Error user = error_of([] { choose_pin_source({}); });
  EXPECT_EQ(user.kind(), Kind::pin_missing);
  EXPECT_EQ(user.exit_status(), 4);
  EXPECT_EQ(user.hint(),
            "give --pin-source file:PATH, env:NAME or cmd:COMMAND, or run it at a terminal; "
            "or set HSMITH_PIN_SOURCE or HSMITH_PIN");
  PinOptions options;
  options.role = PinRole::so;
  EXPECT_EQ(error_of([&] { choose_pin_source(options); }).hint(),
            "give --so-pin-source file:PATH, env:NAME or cmd:COMMAND, or run it at a terminal; "
            "or set HSMITH_SO_PIN_SOURCE");
  options.role = PinRole::new_so;
  EXPECT_EQ(error_of([&] { choose_pin_source(options); }).hint(),
            "give --new-so-pin-source file:PATH, env:NAME or cmd:COMMAND, or run it at a terminal");
}

TEST(Pin, AWrongSourceNamesThePlaceItCameFrom) {
  const auto message_of = [](const PinOptions& options) {
    return std::string(error_of([&] { choose_pin_source(options); }).what());
  };
  PinOptions options;
  options.role = PinRole::so;
  options.configuration = "123456";
  EXPECT_THAT(message_of(options), HasSubstr("read so_pin_source of the configuration:"));
  options.environment = "123456";
  EXPECT_THAT(message_of(options), HasSubstr("read HSMITH_SO_PIN_SOURCE:"));
  options.option = "123456";
  EXPECT_THAT(message_of(options), HasSubstr("read --so-pin-source:"));
}

TEST(Pin, OnlyTheUserHasAPinVariable) {
  Environment environment;
  environment.secrets.emplace("HSMITH_PIN", Secret(std::string_view("1234")));
  setenv("HSMITH_PIN_SOURCE", "file:/user", 1);
  setenv("HSMITH_SO_PIN_SOURCE", "file:/so", 1);
  const PinOptions user = pin_options(PinRole::user, environment, nullptr);
  const PinOptions so = pin_options(PinRole::so, environment, nullptr);
  const PinOptions new_user = pin_options(PinRole::new_user, environment, nullptr);
  unsetenv("HSMITH_PIN_SOURCE");
  unsetenv("HSMITH_SO_PIN_SOURCE");
  EXPECT_TRUE(user.has_pin_variable);
  EXPECT_FALSE(so.has_pin_variable);
  EXPECT_FALSE(new_user.has_pin_variable);
  EXPECT_EQ(user.environment, "file:/user");
  EXPECT_EQ(so.environment, "file:/so");
  EXPECT_FALSE(new_user.environment);
}

}  // namespace
}  // namespace hsmith::tokens
