// One call of a Cryptoki function on its way through the module.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tests/support/fault_module/script.h"

namespace hsmith::fault {

// Where a call's answer of variable length goes.
struct Output {
  unsigned char* bytes = nullptr;  // null: the caller asks for the length
  CK_ULONG* length = nullptr;      // in elements; null where the caller fixes it
  CK_ULONG capacity = 0;           // in elements
  std::size_t element = 1;         // bytes in one: 1, or the size of a handle
};

struct Arguments {
  CK_SESSION_HANDLE session = 0;  // the first argument, where that is a session
  std::optional<CK_MECHANISM_TYPE> mechanism;
  std::vector<std::span<const CK_ATTRIBUTE>> templates;
  std::optional<CK_ULONG> input;  // bytes the caller hands in, PINs included
  std::optional<Output> output;

  bool asks_size() const { return output && output->bytes == nullptr; }
};

struct Call {
  Function function = Function::any;
  Arguments arguments;
  std::uint64_t sequence = 0;
  std::vector<const Rule*> rules;  // those that act on this call
  std::optional<CK_RV> real;       // what the real module said
  std::optional<CK_RV> result;     // what the caller gets
};

// Counts the call, checks the assertions and does what has to be done before the real module is
// asked. With a `result` in the returned call it must not be asked.
Call begin(Function function, Arguments arguments);

// Does what has to be done after the real module answered, writes the log, and returns what the
// caller gets.
CK_RV finish(Call& call);

// The bytes of an answer that was given; empty for a question of size.
std::span<unsigned char> bytes_of(const Output& output);

// Flips the lowest bit of the byte that the rule names. A byte that is not there ends the process
// like a failed assertion: a fault that does nothing would be taken for one that was survived.
void flip(const Rule& rule, std::span<unsigned char> bytes);

}  // namespace hsmith::fault
