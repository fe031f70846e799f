// Answers conformance cases: a JSON line in, a JSON line out (tests/conformance/run).
#include <fmt/format.h>
#include <iostream>
#include <string>
#include <unistd.h>

#include "tests/conformance/token_cases.h"

namespace hsmith::conformance {
namespace {

Answer unwrap(const Json& request, TokenCases& token) {
  const Json& test = request.at("test");
  const bool padded = request.at("algorithm") == "AES-KWP";
  return token.unwrap(padded, bytes_of(test, "key"), bytes_of(test, "msg"), bytes_of(test, "ct"),
                      "valid", "invalid");
}

Answer unwrap_plain(const Json& test, TokenCases& token) {
  const Bytes plain = test.contains("plain") ? bytes_of(test, "plain") : Bytes();
  return token.unwrap(test.at("mode") == "KWP", bytes_of(test, "kek"), plain,
                      bytes_of(test, "wrapped"), "accept", "reject");
}

Answer decrypt(const Json& request, TokenCases& token) {
  const std::string algorithm = request.at("algorithm");
  if (algorithm.rfind("RSA", 0) == 0) return token.decrypt_rsa(request);
  if (algorithm == "AES-GCM" || algorithm == "AES-CBC-PKCS5") return token.decrypt_aes(request);
  return {"skipped", "keys from passwords are OpenSSL's own work"};
}

Answer answer_to(const Json& request, TokenCases& token) {
  const std::string operation = request.at("operation");
  if (operation == "verify") return verify_signature(request.at("group"), request.at("test"));
  if (operation == "weak-key") return judge_key(request);
  if (operation == "uri") return parse_uri_case(request.at("test"));
  if (operation == "sign") return token.sign(request);
  if (operation == "decrypt") return decrypt(request, token);
  if (operation == "unwrap") return unwrap(request, token);
  if (operation == "keywrap") return unwrap_plain(request.at("test"), token);
  const bool agreement = operation == "derive" && request.at("group").contains("curve");
  if (agreement) return token.derive(request);
  return {"skipped", fmt::format("hsmith has no code of its own for this ({})", operation)};
}

// Standard output leads to standard error while a module is open, so the answers have a descriptor
// of their own.
void write_line(int descriptor, const Json& json) {
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (write(descriptor, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw Error(Kind::io, "write an answer");
}

void run() {
  const int answers = dup(STDOUT_FILENO);
  TokenCases token;
  write_line(answers, {{"ready", true}});
  std::string line;
  while (std::getline(std::cin, line)) {
    const Answer answer = answer_to(Json::parse(line), token);
    write_line(answers, {{"got", answer.got}, {"reason", answer.reason}});
  }
}

}  // namespace
}  // namespace hsmith::conformance

int main() {
  try {
    hsmith::conformance::run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "conformance_worker: " << error.what() << "\n";
    return 1;
  }
}
