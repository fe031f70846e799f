// hsmith completion: the script by which a shell completes command lines of hsmith.
#include "cli/completion.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string shell;
  std::vector<std::string> words;
};

// What the scripts ask for: `hsmith completion words -- WORD...`, a line each, word TAB about.
Outcome answer(const std::vector<std::string>& words, Context& context) {
  Outcome outcome;
  outcome.data["words"] = Json::array();
  for (const Suggestion& one : complete(words, context)) {
    outcome.data["words"].push_back({{"word", one.word}, {"about", one.about}});
    outcome.text += one.about.empty() ? one.word + "\n"
                                      : fmt::format("{}\t{}\n", one.word, printable(one.about));
  }
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  if (options.shell == "words") return answer(options.words, context);
  static const std::vector<std::string> kShells{"bash", "zsh", "fish"};
  if (std::find(kShells.begin(), kShells.end(), options.shell) == kShells.end()) {
    const auto near = did_you_mean(options.shell, kShells);
    throw Error(Kind::usage, fmt::format("completion for {}: there is no such shell here",
                                         quoted(options.shell)))
        .hint(near ? fmt::format("did you mean {}?", *near) : "there are bash, zsh and fish");
  }
  Outcome outcome;
  outcome.text = completion_script(options.shell);
  outcome.data = {{"shell", options.shell}, {"script", outcome.text}};
  return outcome;
}

}  // namespace

void add_completion(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("SHELL", options->shell, "bash, zsh or fish").required();
  command.add_option("WORD", options->words, "").hidden();  // for the scripts
  command.footer(
      "bash:  source <(hsmith completion bash)                in ~/.bashrc\n"
      "zsh:   source <(hsmith completion zsh)                 in ~/.zshrc, behind compinit\n"
      "fish:  hsmith completion fish > ~/.config/fish/completions/hsmith.fish\n"
      "Examples:\n  hsmith completion bash > /etc/bash_completion.d/hsmith\n"
      "  hsmith completion fish | source");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
