// A connection to PostgreSQL, and its failures in hsmith's words.
#pragma once

#include <memory>
#include <pqxx/connection>
#include <pqxx/errorhandler>
#include <string>
#include <string_view>

namespace hsmith::recovery::postgresql {

// The server's notices are nobody's business.
class Connection : public pqxx::connection {
 public:
  explicit Connection(const std::string& text) : pqxx::connection(text), quiet_(*this) {}

 private:
  pqxx::quiet_errorhandler quiet_;
};

// Connects within 10 s, with settings under which nothing waits for ever and what is acknowledged
// is on the disk. Throws usage for a URL that is none, refused for one that holds a password, io.
std::unique_ptr<Connection> connect(const std::string& url);

// Rethrows the exception that is being handled: busy for locks and time-outs, refused for missing
// rights, malformed for tables that are not the archive's, else io.
[[noreturn]] void fail(const std::string& url, std::string_view doing);

// Runs `work`, and gives its failure to fail().
template <typename Work>
auto guarded(const std::string& url, std::string_view doing, Work work) {
  try {
    return work();
  } catch (...) {
    fail(url, doing);
  }
}

}  // namespace hsmith::recovery::postgresql
