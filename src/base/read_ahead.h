// Reading a large file while what was read before is worked on.
#pragma once

#include <array>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "src/base/bytes.h"

namespace hsmith {

// Fills one block in a thread of its own while the caller has the other.
class ReadAhead {
 public:
  // Reads into a block and says how much; 0 at the end. What it throws comes out of next().
  using Read = std::function<std::size_t(Bytes& block)>;

  ReadAhead(Read read, std::size_t block_size);
  // Waits for a read that is going on: not for what may never answer.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;

  // The next block, which is the caller's until the call after; empty at the end.
  ByteView next();

 private:
  struct Block {
    Bytes bytes;
    std::size_t size = 0;
    bool full = false;
  };

  void read_all();

  Read read_;
  std::array<Block, 2> blocks_;
  std::size_t taken_ = 0;  // blocks that were given out
  bool stop_ = false;
  std::exception_ptr failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;  // last: it works on all the others
};

}  // namespace hsmith
