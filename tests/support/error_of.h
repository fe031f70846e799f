// Looking at the error that something throws.
#pragma once

#include <gtest/gtest.h>

#include "src/base/error.h"

namespace hsmith::test {

// The error that `action` throws; when it throws none, a failure and an error of kind internal.
template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Kind::internal, "nothing was thrown");
}

}  // namespace hsmith::test
