// The sessions that the workers of one process sign in.
#pragma once

#include <future>
#include <memory>
#include <mutex>

#include "cli/file_signer.h"

namespace hsmith::cli {

// A session for each worker. Where the module computes in this process and its threads wait for
// each other, raw signatures have two workers in each session, who take turns: while one's
// signature is made, the other verifies and writes its last one and hashes its next file. Elsewhere
// a session waits for its device, and handing it over would take longer than what is hidden so.
class SigningSessions {
 public:
  using Signer = std::shared_ptr<const FileSigner>;

  // The first session is the one of `first`, which is open. All three must outlive the object.
  SigningSessions(const tokens::OpenToken& token, const tokens::Key& key, const FileSigner& first)
      : token_(token), key_(key), first_(first) {}

  unsigned workers_each() const;
  // For one worker: its half of a session, which the other half's worker may just be opening.
  // Throws what either of them meets there.
  Signer take();

 private:
  const tokens::OpenToken& token_;
  const tokens::Key& key_;
  const FileSigner& first_;
  std::mutex mutex_;
  bool first_is_taken_ = false;
  std::shared_future<Signer> half_taken_;  // a session that has one worker only
};

}  // namespace hsmith::cli
