#include "cli/signing_sessions.h"

#include <utility>

#include "tokens/quirks.h"

namespace hsmith::cli {

unsigned SigningSessions::workers_each() const {
  return !first_.message && tokens::module_quirks(token_.module->path()).threads_wait ? 2 : 1;
}

SigningSessions::Signer SigningSessions::take() {
  std::unique_lock lock(mutex_);
  std::shared_future<Signer> session = std::exchange(half_taken_, {});
  if (session.valid()) {
    lock.unlock();
    return session.get();
  }
  std::promise<Signer> opened;
  session = opened.get_future().share();
  if (workers_each() > 1) half_taken_ = session;
  const bool is_first = !std::exchange(first_is_taken_, true);
  lock.unlock();
  try {
    opened.set_value(is_first ? Signer(&first_, [](const FileSigner*) {})
                              : std::make_shared<FileSigner>(in_own_session(token_, key_, first_)));
  } catch (...) {
    opened.set_exception(std::current_exception());
  }
  return session.get();
}

}  // namespace hsmith::cli
