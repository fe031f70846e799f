#include "tests/support/fault_module/script.h"

#include <charconv>
#include <cstring>
#include <signal.h>
#include <stdexcept>

#include "tests/support/fault_module/words.h"

namespace hsmith::fault {
namespace {

// The words of one rule, read from the front.
class Words {
 public:
  explicit Words(const std::vector<Word>& words) : words_(words) {}

  bool more() const { return next_ < words_.size(); }
  // True when the next word is this one; it is then taken.
  bool take(std::string_view word) {
    const bool same = more() && !words_[next_].quoted && words_[next_].text == word;
    if (same) ++next_;
    return same;
  }
  const Word& next(const char* wanted) {
    if (!more()) throw std::invalid_argument(std::string(wanted) + " is missing at the end");
    return words_[next_++];
  }
  const Word* peek() const { return more() ? &words_[next_] : nullptr; }

 private:
  const std::vector<Word>& words_;
  std::size_t next_ = 0;
};

[[noreturn]] void refuse(const std::string& word, const char* wanted) {
  throw std::invalid_argument("\"" + word + "\" is not " + wanted);
}

template <typename T>
T need(const std::optional<T>& parsed, const Word& word, const char* wanted) {
  if (!parsed || word.quoted) refuse(word.text, wanted);
  return *parsed;
}

CK_ULONG next_name(Words& words, Names kind, const char* wanted) {
  const Word& word = words.next(wanted);
  return need(value_named(kind, word.text), word, wanted);
}

CK_ULONG next_number(Words& words, const char* wanted) {
  const Word& word = words.next(wanted);
  return need(parse_number(word.text), word, wanted);
}

std::string parse_text(Words& words) {
  const Word& word = words.next("a text in double quotes");
  if (!word.quoted) refuse(word.text, "a text in double quotes");
  return word.text;
}

Function parse_function(Words& words) {
  const Word& word = words.next("a function");
  return need(function_named(word.text), word, "a function of Cryptoki 2.40");
}

constexpr const char* kWhen = "a count of calls (N, N-M, from N, every N, always)";

std::uint64_t parse_count(std::string_view text, const std::string& word) {
  const auto count = parse_number(text);
  if (!count || *count == 0) refuse(word, kWhen);
  return *count;
}

When parse_when(Words& words) {
  if (words.take("always")) return {};
  const bool from = words.take("from");
  const bool every = !from && words.take("every");
  const std::string& word = words.next(kWhen).text;
  const std::size_t dash = word.find('-');
  if (from) return {.first = parse_count(word, word)};
  if (every) {
    const std::uint64_t step = parse_count(word, word);
    return {.first = step, .step = step};
  }
  if (dash == std::string::npos) {
    const std::uint64_t count = parse_count(word, word);
    return {.first = count, .last = count};
  }
  const std::string_view whole = word;
  const When when{.first = parse_count(whole.substr(0, dash), word),
                  .last = parse_count(whole.substr(dash + 1), word)};
  if (when.last < when.first) refuse(word, "a range that goes up");
  return when;
}

CK_ULONG parse_duration(Words& words) {
  constexpr const char* kWanted = "a time such as 500ms or 2s";
  const Word& word = words.next(kWanted);
  std::string_view text = word.text;
  const CK_ULONG unit = text.ends_with("ms") ? 1 : 1000;
  if (!text.ends_with("s")) refuse(word.text, kWanted);
  text.remove_suffix(unit == 1 ? 2 : 1);
  return unit * need(parse_number(text), word, kWanted);
}

CK_ULONG parse_signal(Words& words) {
  const Word& word = words.next("a signal");
  const std::string_view text = word.text;
  for (int number = 1; number < SIGRTMIN && text.starts_with("SIG"); ++number) {
    const char* name = sigabbrev_np(number);
    if (name != nullptr && text.substr(3) == name) return static_cast<CK_ULONG>(number);
  }
  refuse(word.text, "a signal such as SIGSEGV");
}

CK_ULONG parse_octal(Words& words) {
  const Word& word = words.next("an octal mode");
  unsigned mode = 0;
  const char* end = word.text.data() + word.text.size();
  const auto parsed = std::from_chars(word.text.data(), end, mode, 8);
  if (parsed.ec != std::errc() || parsed.ptr != end || mode > 0777) {
    refuse(word.text, "an octal mode such as 077");
  }
  return mode;
}

Length parse_length(Words& words) {
  constexpr const char* kWanted = "a length (=N, +N, -N, huge, unavailable)";
  if (words.take("huge")) return {.exact = 1ul << 63};
  if (words.take("unavailable")) return {.exact = CK_UNAVAILABLE_INFORMATION};
  const Word& word = words.next(kWanted);
  const std::string_view text = word.text;
  const CK_ULONG number =
      need(text.empty() ? std::nullopt : parse_number(text.substr(1)), word, kWanted);
  if (text[0] == '=') return {.exact = number};
  if (text[0] == '+') return {.exact = std::nullopt, .offset = number};
  if (text[0] == '-') return {.exact = std::nullopt, .offset = 0 - number};
  refuse(word.text, kWanted);
}

// The N of "byte N"; counted from the end, -1 is the last byte and comes out as 2^64-1.
CK_ULONG parse_byte(Words& words) {
  if (!words.take("byte")) refuse(words.next("byte N").text, "the word byte");
  const Word& word = words.next("the number of a byte");
  const bool from_end = word.text.starts_with("-");
  const std::string_view digits = std::string_view(word.text).substr(from_end ? 1 : 0);
  const CK_ULONG number = need(parse_number(digits), word, "the number of a byte");
  return from_end ? 0 - number : number;
}

std::string parse_hex(const Word& word) {
  const std::string_view digits = std::string_view(word.text).substr(std::strlen("hex:"));
  std::string bytes;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    unsigned char byte = 0;
    const std::string_view pair = digits.substr(at, 2);
    const char* end = pair.data() + pair.size();
    if (pair.size() != 2 || std::from_chars(pair.data(), end, byte, 16).ptr != end) {
      refuse(word.text, "bytes in hexadecimal");
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string parse_value(Words& words) {
  const Word& word = words.next("a value");
  if (word.quoted) return word.text;
  if (word.text == "true") return {'\1'};
  if (word.text == "false") return {'\0'};
  if (word.text.starts_with("hex:")) return parse_hex(word);
  for (const Names kind : {Names::cko, Names::ckk, Names::ckm}) {
    if (const auto number = value_named(kind, word.text)) {
      return {reinterpret_cast<const char*>(&*number), sizeof *number};
    }
  }
  refuse(word.text, "a value (true, false, \"text\", hex:00ff, a number, CKO_, CKK_ or CKM_)");
}

std::optional<CK_OBJECT_CLASS> parse_class(Words& words) {
  if (!words.take("class")) return std::nullopt;
  if (words.take("private")) return CKO_PRIVATE_KEY;
  if (words.take("public")) return CKO_PUBLIC_KEY;
  if (words.take("secret")) return CKO_SECRET_KEY;
  if (words.take("certificate")) return CKO_CERTIFICATE;
  if (words.take("data")) return CKO_DATA;
  return next_name(words, Names::cko, "a class of objects");
}

// "3.2" as major * 256 + minor.
CK_ULONG parse_version(Words& words) {
  const Word& word = words.next("a version");
  const std::string_view text = word.text;
  const std::size_t dot = text.find('.');
  const auto major = parse_number(text.substr(0, dot));
  const auto minor = dot == text.npos ? std::nullopt : parse_number(text.substr(dot + 1));
  if (!major || !minor || *major > 255 || *minor > 255) refuse(word.text, "a version such as 3.2");
  return *major * 256 + *minor;
}

// The parts that follow the name of a rule; each takes its words and sets its field.
using Part = void (*)(Words&, Rule&);

void function(Words& words, Rule& rule) { rule.function = parse_function(words); }

void single_function(Words& words, Rule& rule) {
  function(words, rule);
  if (rule.function == Function::any) refuse("any", "one function");
}

void bytes_function(Words& words, Rule& rule) {
  function(words, rule);
  if (gives_bytes(rule.function)) return;
  refuse(name_of(rule.function), "a function that gives bytes or a list");
}

// C_GenerateRandom fills what it is given and has no length to falsify.
void sized_function(Words& words, Rule& rule) {
  bytes_function(words, rule);
  if (rule.function != Function::C_GenerateRandom) return;
  refuse("C_GenerateRandom", "a function that says how long its answer is");
}

// C_GenerateKeyPair has two templates: one of them is named behind it.
void template_function(Words& words, Rule& rule) {
  function(words, rule);
  if (!takes_template(rule.function)) {
    refuse(name_of(rule.function), "a function with a template to check");
  }
  if (rule.function != Function::C_GenerateKeyPair) return;
  const bool is_private = words.take("private");
  if (!is_private && !words.take("public")) {
    refuse(words.next("public or private").text, "public or private");
  }
  rule.template_of = is_private ? TemplateOf::private_key : TemplateOf::public_key;
}

void drop_function(Words& words, Rule& rule) {
  function(words, rule);
  if (takes_template(rule.function)) return;
  refuse(name_of(rule.function), "a function with a template");
}

void after_function(Words& words, Rule& rule) {
  if (words.take("after")) rule.after = parse_function(words);
}

void when(Words& words, Rule& rule) {
  rule.on_calls = true;
  rule.when = parse_when(words);
}

void optional_when(Words& words, Rule& rule) {
  const Word* word = words.peek();
  if (word == nullptr || word->quoted || word->text.empty()) return;
  const bool digit = word->text[0] >= '0' && word->text[0] <= '9';
  const bool named = word->text == "always" || word->text == "from" || word->text == "every";
  if (digit || named) rule.when = parse_when(words);
}

void result(Words& words, Rule& rule) {
  rule.number = next_name(words, Names::ckr, "a CKR_ name or number");
}
void flag(Words& words, Rule& rule) {
  rule.number = next_name(words, Names::ckf, "a CKF_ name or number");
}
void mechanism(Words& words, Rule& rule) {
  rule.number = next_name(words, Names::ckm, "a CKM_ name or number");
}
void attribute(Words& words, Rule& rule) {
  rule.attribute = next_name(words, Names::cka, "a CKA_ name or number");
}
void object_class(Words& words, Rule& rule) { rule.object_class = parse_class(words); }
void number(Words& words, Rule& rule) { rule.number = next_number(words, "a number"); }
void octal(Words& words, Rule& rule) { rule.number = parse_octal(words); }
void duration(Words& words, Rule& rule) { rule.number = parse_duration(words); }
void signal_name(Words& words, Rule& rule) { rule.number = parse_signal(words); }
void version(Words& words, Rule& rule) { rule.number = parse_version(words); }
void byte(Words& words, Rule& rule) { rule.number = parse_byte(words); }
void length(Words& words, Rule& rule) { rule.length = parse_length(words); }
void text(Words& words, Rule& rule) { rule.value = parse_text(words); }

// A text for a field of CK_TOKEN_INFO.
template <std::size_t Size>
void field(Words& words, Rule& rule) {
  text(words, rule);
  if (rule.value->size() > Size) refuse(*rule.value, "short enough for its field");
}

void octet(Words& words, Rule& rule) {
  rule.number = next_number(words, "the value of a byte");
  if (rule.number > 255) refuse(std::to_string(rule.number), "the value of a byte");
}

void ordinal(Words& words, Rule& rule) {
  if (words.take("all")) return;
  rule.number = next_number(words, "the number of a slot in the list (1, 2, ... or all)");
  if (rule.number == 0) refuse("0", "the number of a slot in the list (1, 2, ... or all)");
}

void equals(Words& words, Rule&) {
  if (!words.take("=")) refuse(words.next("the sign =").text, "the sign =");
}

void value_or_absent(Words& words, Rule& rule) {
  if (!words.take("absent")) rule.value = parse_value(words);
}

void effect(Words& words, Rule& rule) {
  if (words.take("length")) {
    rule.action = Action::attribute_length;
    rule.length = parse_length(words);
  } else if (words.take("flip")) {
    rule.action = Action::attribute_flip;
    rule.number = parse_byte(words);
  } else {
    equals(words, rule);
    rule.value = parse_value(words);
  }
}

struct Grammar {
  std::string_view name;
  Action action;
  std::vector<Part> parts;
};

// docs/fault-module.md describes these in the same order.
const std::vector<Grammar> kGrammar = {
    {"fail", Action::fail, {function, when, result}},
    {"fail-after", Action::fail_after, {function, when, result}},
    {"ok-without-writing", Action::ok_without_writing, {function, when}},
    {"delay", Action::delay, {function, when, duration}},
    {"hang", Action::hang, {function, when}},
    {"kill before", Action::kill_before, {function, when}},
    {"kill after", Action::kill_after, {function, when}},
    {"raise before", Action::raise_before, {function, when, signal_name}},
    {"raise after", Action::raise_after, {function, when, signal_name}},
    {"close-sessions", Action::close_sessions, {function, when}},
    {"flip", Action::flip, {bytes_function, when, byte}},
    {"fill", Action::fill, {bytes_function, when, octet}},
    {"repeat", Action::repeat, {bytes_function, when}},
    {"length", Action::length, {sized_function, when, length}},
    {"size-query", Action::size_query, {sized_function, when, length}},
    {"attribute", Action::attribute_value, {attribute, object_class, optional_when, effect}},
    {"hide-attribute", Action::hide_attribute, {attribute, object_class, optional_when}},
    {"token-flag set", Action::set_token_flag, {flag, optional_when}},
    {"token-flag clear", Action::clear_token_flag, {flag, optional_when}},
    {"token-label", Action::token_label, {optional_when, equals, field<32>}},
    {"token-serial", Action::token_serial, {optional_when, equals, field<16>}},
    {"token-model", Action::token_model, {optional_when, equals, field<16>}},
    {"token-manufacturer", Action::token_manufacturer, {optional_when, equals, field<32>}},
    {"token-time", Action::token_time, {optional_when, equals, field<16>}},
    {"hide-slot", Action::hide_slot, {ordinal, optional_when}},
    {"hide-mechanism", Action::hide_mechanism, {mechanism}},
    {"refuse-attribute", Action::refuse_attribute, {attribute, result}},
    {"drop-attribute", Action::drop_attribute, {drop_function, attribute}},
    {"max-sessions", Action::max_sessions, {number}},
    {"null-function", Action::null_function, {single_function}},
    {"cryptoki-version", Action::cryptoki_version, {version}},
    {"print-to-stdout", Action::print_to_stdout, {function, when, text}},
    {"print-to-stderr", Action::print_to_stderr, {function, when, text}},
    {"umask", Action::set_umask, {function, when, octal}},
    {"change-folder", Action::change_folder, {function, when, text}},
    {"set-locale", Action::set_locale, {function, when, text}},
    {"ignore-signal", Action::ignore_signal, {function, when, signal_name}},
    {"leave-thread", Action::leave_thread, {function, when}},
    {"assert at-most", Action::assert_at_most, {function, number}},
    {"assert-total at-most", Action::assert_at_most, {number}},
    {"assert never", Action::assert_never, {single_function, after_function}},
    {"assert template",
     Action::assert_template,
     {template_function, object_class, attribute, value_or_absent}},
};

// A rule's name is one word or two.
const Grammar& take_name(Words& words) {
  const std::string first = words.next("the name of a rule").text;
  const std::string second = words.peek() == nullptr ? "" : words.peek()->text;
  for (const Grammar& rule : kGrammar) {
    if (rule.name == first) return rule;
    if (rule.name == first + " " + second) {
      words.next("");
      return rule;
    }
  }
  refuse(first + (second.empty() ? "" : " " + second), "the name of a rule");
}

Rule parse_rule(const Line& line) {
  Words words(line.words);
  const Grammar& grammar = take_name(words);
  Rule rule;
  rule.line = line.number;
  rule.text = line.text;
  rule.action = grammar.action;
  for (const Part part : grammar.parts) part(words, rule);
  if (words.more()) refuse(words.next("").text, "expected at the end of this rule");
  return rule;
}

}  // namespace

std::vector<Rule> parse_script(std::string_view script, std::string_view separators) {
  std::vector<Rule> rules;
  for (const Line& line : split_script(script, separators)) {
    try {
      rules.push_back(parse_rule(line));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("line " + std::to_string(line.number) + ": " + error.what());
    }
  }
  return rules;
}

}  // namespace hsmith::fault
