#include "tokens/pin_prompt.h"

#include <array>
#include <csignal>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include "src/base/files.h"
#include "tests/support/error_of.h"
#include "tokens/pin.h"

namespace hsmith::tokens {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using tests::error_of;

// A child with a terminal of its own that runs `action` and reports its text through a pipe. What
// it writes to the terminal is collected: it is what a person would see.
class AtTerminal {
 public:
  explicit AtTerminal(const std::function<std::string()>& action) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    int master = -1;
    pid_ = forkpty(&master, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      const std::string result = action();
      const bool written = write(ends[1], result.data(), result.size()) >= 0;
      _exit(written ? 0 : 1);
    }
    close(ends[1]);
    result_ = Descriptor(ends[0]);
    master_ = Descriptor(master);
  }
  ~AtTerminal() {
    if (ended_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  AtTerminal(const AtTerminal&) = delete;
  AtTerminal& operator=(const AtTerminal&) = delete;

  // Waits until the screen shows `text` behind what was waited for before.
  void expect(const std::string& text) {
    while (screen_.find(text, seen_) == std::string::npos) {
      pollfd waiting{master_.get(), POLLIN, 0};
      std::array<char, 256> block;
      ASSERT_GT(poll(&waiting, 1, 10000), 0) << "the screen shows: " << screen_;
      const ssize_t got = read(master_.get(), block.data(), block.size());
      ASSERT_GT(got, 0) << "the screen shows: " << screen_;
      screen_.append(block.data(), static_cast<std::size_t>(got));
    }
    seen_ = screen_.find(text, seen_) + text.size();
  }
  void type(const std::string& text) {
    EXPECT_EQ(write(master_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void send(int signal) const { kill(pid_, signal); }
  bool echoes() const {
    termios settings{};
    EXPECT_EQ(tcgetattr(master_.get(), &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
  }
  // What the action returned; the empty text when it was ended before.
  std::string result() {
    std::string text;
    std::array<char, 256> block;
    ssize_t got = 0;
    while ((got = read(result_.get(), block.data(), block.size())) > 0) {
      text.append(block.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  int wait(int options = 0) {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, options), pid_);
    ended_ = !WIFSTOPPED(status);
    return status;
  }
  const std::string& screen() const { return screen_; }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  Descriptor master_;
  Descriptor result_;
  std::string screen_;
  std::size_t seen_ = 0;
};

std::string answer_to_question() {
  try {
    return "typed " + std::string(as_text(prompt_secret("PIN: ").reveal()));
  } catch (const Error& error) {
    return error.what();
  }
}

std::string new_pin() {
  Environment environment;
  PinReading reading;
  reading.role = PinRole::new_user;
  reading.prompt_for = "token \"prod\"";
  try {
    const auto pin = read_pin(parse_pin_source("prompt", "x"), reading, environment);
    return "typed " + std::string(as_text(pin->reveal()));
  } catch (const Error& error) {
    return std::string(info(error.kind()).name) + " " + error.what();
  }
}

TEST(PinPrompt, TakesALineWithoutShowingIt) {
  AtTerminal terminal(answer_to_question);
  terminal.expect("PIN: ");
  EXPECT_FALSE(terminal.echoes());
  terminal.type("geheim\n");
  terminal.expect("\n");
  EXPECT_EQ(terminal.result(), "typed geheim");
  EXPECT_TRUE(WIFEXITED(terminal.wait()));
  EXPECT_TRUE(terminal.echoes());
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("geheim")));
}

TEST(PinPrompt, ThrowsAwayWhatWasTypedBeforeItAsked) {
  AtTerminal terminal([] {
    pollfd typed{STDIN_FILENO, POLLIN, 0};
    poll(&typed, 1, 10000);
    return answer_to_question();
  });
  terminal.type("early\n");
  terminal.expect("PIN: ");
  terminal.type("late\n");
  EXPECT_EQ(terminal.result(), "typed late");
}

TEST(PinPrompt, EndOfInputIsAMissingPin) {
  AtTerminal terminal(answer_to_question);
  terminal.expect("PIN: ");
  terminal.type("\x04");
  EXPECT_EQ(terminal.result(), "ask at the terminal: nothing was typed");
}

TEST(PinPrompt, EndingSignalsEndTheProcessAfterTheEchoIsBack) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    AtTerminal terminal(answer_to_question);
    terminal.expect("PIN: ");
    EXPECT_FALSE(terminal.echoes());
    terminal.send(signal);
    EXPECT_EQ(terminal.result(), "");
    const int status = terminal.wait();
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_TRUE(terminal.echoes());
  }
}

TEST(PinPrompt, ControlCEndsTheProcess) {
  AtTerminal terminal(answer_to_question);
  terminal.expect("PIN: ");
  terminal.type("12\x03");
  const int status = terminal.wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
  EXPECT_TRUE(terminal.echoes());
}

TEST(PinPrompt, ASignalThatIsIgnoredStaysIgnored) {
  AtTerminal terminal([] {
    std::signal(SIGHUP, SIG_IGN);
    return answer_to_question();
  });
  terminal.expect("PIN: ");
  terminal.send(SIGHUP);
  terminal.type("1234\n");
  EXPECT_EQ(terminal.result(), "typed 1234");
}

TEST(PinPrompt, ASignalWithAHandlerThatReturnsIsAMissingPin) {
  AtTerminal terminal([] {
    std::signal(SIGINT, [](int) {});
    return answer_to_question();
  });
  terminal.expect("PIN: ");
  terminal.type("\x03");
  EXPECT_EQ(terminal.result(), "ask at the terminal: interrupted");
}

TEST(PinPrompt, AsksAgainAfterItWasStopped) {
  AtTerminal terminal([] {
    // A process group without a parent in its session cannot be stopped from the terminal.
    const pid_t child = fork();
    if (child != 0) {
      int status = 0;
      setpgid(child, child);
      tcsetpgrp(STDIN_FILENO, child);
      waitpid(child, &status, WUNTRACED);
      kill(child, SIGCONT);
      waitpid(child, &status, 0);
      return std::string(WIFEXITED(status) ? "" : "ended by a signal");
    }
    setpgid(0, 0);
    while (tcgetpgrp(STDIN_FILENO) != getpid()) std::this_thread::sleep_for(milliseconds(1));
    const std::string answer = answer_to_question();
    std::printf("answer: %s\n", answer.c_str());
    std::fflush(stdout);
    _exit(0);
  });
  terminal.expect("PIN: ");
  terminal.type("12\x1a");
  terminal.expect("PIN: ");
  terminal.type("1234\n");
  terminal.expect("answer: typed 1234");
}

TEST(PinPrompt, ANewPinIsAskedTwice) {
  AtTerminal terminal(new_pin);
  terminal.expect("New PIN for token \"prod\": ");
  terminal.type("1234\n");
  terminal.expect("New PIN for token \"prod\", once more: ");
  terminal.type("1234\n");
  EXPECT_EQ(terminal.result(), "typed 1234");
}

TEST(PinPrompt, TwoDifferentNewPinsAreRefused) {
  AtTerminal terminal(new_pin);
  terminal.expect(": ");
  terminal.type("1234\n");
  terminal.expect("once more: ");
  terminal.type("1235\n");
  EXPECT_EQ(terminal.result(), "pin_invalid ask for the new PIN: the two that were typed differ");
}

TEST(PinPrompt, AnEmptyNewPinIsRefused) {
  AtTerminal terminal(new_pin);
  terminal.expect(": ");
  terminal.type("\n");
  terminal.expect("once more: ");
  terminal.type("\n");
  EXPECT_EQ(terminal.result(), "pin_invalid ask for the new PIN: it is empty");
}

TEST(PinPrompt, IsChosenAtATerminalWhenPromptsAreAllowed) {
  const auto chosen = [](bool may_prompt) {
    PinOptions options;
    options.may_prompt = may_prompt;
    try {
      return choose_pin_source(options).kind == PinSource::Kind::prompt ? "prompt" : "other";
    } catch (const Error& error) {
      return info(error.kind()).name;
    }
  };
  EXPECT_EQ(AtTerminal([&] { return std::string(chosen(true)); }).result(), "prompt");
  EXPECT_EQ(AtTerminal([&] { return std::string(chosen(false)); }).result(), "pin_missing");
}

TEST(PinPrompt, WithoutATerminalItFailsAtOnce) {
  EXPECT_EXIT(
      {
        setsid();
        const Error error = error_of([] { prompt_secret("PIN: "); });
        const bool expected = !has_terminal() && error.kind() == Kind::pin_missing &&
                              error.what() == std::string("ask at the terminal: there is none");
        _exit(expected ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hsmith::tokens
