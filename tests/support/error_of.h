// The hsmith::Error that something throws, for tests that read its message.
#pragma once

#include <gtest/gtest.h>

#include "src/base/error.h"

namespace hsmith::tests {

template <typename Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Kind::internal, "nothing was thrown");
}

}  // namespace hsmith::tests
