#include "src/base/read_ahead.h"

namespace hsmith {

ReadAhead::ReadAhead(Read read, std::size_t block_size) : read_(std::move(read)) {
  for (Block& block : blocks_) block.bytes.resize(block_size);
  thread_ = std::thread([this] { read_all(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::read_all() {
  for (std::size_t i = 0;; ++i) {
    Block& block = blocks_[i % 2];
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || !block.full; });
    if (stop_) return;
    lock.unlock();
    std::size_t size = 0;
    std::exception_ptr failed;
    try {
      size = read_(block.bytes);
    } catch (...) {
      failed = std::current_exception();
    }
    lock.lock();
    block.size = size;
    block.full = true;
    failed_ = failed;
    changed_.notify_all();
    if (size == 0) return;
  }
}

ByteView ReadAhead::next() {
  std::unique_lock lock(mutex_);
  if (taken_ > 0) {
    blocks_[(taken_ - 1) % 2].full = false;
    changed_.notify_all();
  }
  const Block& block = blocks_[taken_ % 2];
  changed_.wait(lock, [&] { return block.full; });
  if (block.size == 0 && failed_) std::rethrow_exception(failed_);
  ++taken_;
  return ByteView(block.bytes).first(block.size);
}

}  // namespace hsmith
