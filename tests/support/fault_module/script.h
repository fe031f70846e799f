// The script of the fault module: one rule a line (docs/fault-module.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fault_module/names.h"

namespace hsmith::fault {

enum class Action {
  // Instead of the real call, or before it.
  fail,
  ok_without_writing,
  delay,
  hang,
  kill_before,
  raise_before,
  close_sessions,
  // After the real call.
  fail_after,
  kill_after,
  raise_after,
  // The bytes of an answer and their number.
  flip,
  fill,
  repeat,
  length,
  size_query,
  // What the token says of itself and of its objects.
  attribute_value,
  attribute_length,
  attribute_flip,
  hide_attribute,
  set_token_flag,
  clear_token_flag,
  token_label,
  token_serial,
  token_model,
  token_manufacturer,
  token_time,
  hide_slot,
  hide_mechanism,
  refuse_attribute,
  drop_attribute,
  max_sessions,
  null_function,
  cryptoki_version,
  // What a library should not do to the process it is loaded into.
  print_to_stdout,
  print_to_stderr,
  set_umask,
  change_folder,
  set_locale,
  ignore_signal,
  leave_thread,
  // What the program under test must do, or must not.
  assert_at_most,
  assert_never,
  assert_template,
};

// Which of the calls a rule looks at it acts on: the first one, the last one, and every step-th
// between them, counted from 1.
struct When {
  std::uint64_t first = 1;
  std::uint64_t last = UINT64_MAX;
  std::uint64_t step = 1;

  bool includes(std::uint64_t count) const {
    return count >= first && count <= last && (count - first) % step == 0;
  }
};

// How a length is falsified: replaced, or moved by `offset`.
struct Length {
  std::optional<CK_ULONG> exact;
  CK_ULONG offset = 0;  // modulo 2^64, so that -1 is the largest one

  CK_ULONG changed(CK_ULONG real) const { return exact.value_or(real + offset); }
};

enum class TemplateOf { only, public_key, private_key };

struct Rule {
  std::size_t line = 0;
  std::string text;
  Action action = Action::fail;
  Function function = Function::any;
  Function after = Function::any;  // assert never X after Y; any: at all times
  bool on_calls = false;           // acts on whole calls of `function`, not on single answers
  When when;
  CK_ULONG number = 0;  // the action's one number: CKR, flag, mechanism, milliseconds, signal, ...
  Length length;
  CK_ATTRIBUTE_TYPE attribute = 0;
  std::optional<CK_OBJECT_CLASS> object_class;
  TemplateOf template_of = TemplateOf::only;
  std::optional<std::string> value;  // bytes to give, to print, or to find in a template
};

// The rules of a script. `separators` end a rule: "\n" in a file, "\n;" in an inline script. Throws
// std::invalid_argument with "line N: ..." naming the word it does not know.
std::vector<Rule> parse_script(std::string_view text, std::string_view separators);

}  // namespace hsmith::fault
