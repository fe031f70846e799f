#include "tests/store/cutting_proxy.h"

#include <array>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hsmith::tests {
namespace {

constexpr const char* kSocket = "/.s.PGSQL.5432";

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* as_address(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool send_all(int socket, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy(const std::string& url, std::string text, bool arrives)
    : text_(std::move(text)), arrives_(arrives) {
  // postgresql://keeper@%2Fpath/name: the same with this folder as the host.
  std::string host;
  for (const char c : folder_.path().string()) host += c == '/' ? "%2F" : std::string(1, c);
  url_ = url.substr(0, url.find('@') + 1) + host + url.substr(url.rfind('/'));
  listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un address = address_of(folder_.path().string() + kSocket);
  if (bind(listener_, as_address(address), sizeof address) != 0 || listen(listener_, 8) != 0)
    throw std::runtime_error("listen");
  thread_ = std::thread([this] { serve(); });
}

CuttingProxy::~CuttingProxy() {
  ends_ = true;
  thread_.join();
  close(listener_);
}

// One connection at a time: hsmith has no more.
void CuttingProxy::serve() {
  while (!ends_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, 20) != 1) continue;
    const int client = accept(listener_, nullptr, nullptr);
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = address_of(std::string(std::getenv("PGHOST")) + kSocket);
    if (connect(server, as_address(address), sizeof address) == 0) pass(client, server);
    close(client);
    close(server);
  }
}

void CuttingProxy::pass(int client, int server) {
  std::array<char, 65536> block;
  while (!ends_) {
    std::array<pollfd, 2> both{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (poll(both.data(), 2, 20) <= 0) continue;
    for (const bool from_client : {true, false}) {
      if (both[from_client ? 0 : 1].revents == 0) continue;
      const ssize_t got = recv(from_client ? client : server, block.data(), block.size(), 0);
      if (got <= 0) return;
      const std::string_view data(block.data(), static_cast<std::size_t>(got));
      const bool cut = from_client && data.find(text_) != std::string_view::npos;
      if (cut && !arrives_) return;
      if (!send_all(from_client ? server : client, data) || cut) return;
    }
  }
}

}  // namespace hsmith::tests
