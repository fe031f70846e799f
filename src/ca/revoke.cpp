#include "src/ca/revoke.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>

#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::ca {
namespace {

constexpr std::array<std::pair<const char*, int>, 10> kReasons{{
    {"unspecified", 0},
    {"keyCompromise", 1},
    {"cACompromise", 2},
    {"affiliationChanged", 3},
    {"superseded", 4},
    {"cessationOfOperation", 5},
    {"certificateHold", 6},
    {"removeFromCRL", 8},
    {"privilegeWithdrawn", 9},
    {"aACompromise", 10},
}};

constexpr std::string_view kHold = "certificateHold";
constexpr std::string_view kRelease = "removeFromCRL";

}  // namespace

std::string parse_reason(std::string_view word) {
  std::vector<std::string> known;
  for (const auto& [name, code] : kReasons) {
    if (lower(name) == lower(word)) return name;
    known.emplace_back(name);
  }
  const auto near = did_you_mean(word, known);
  throw Error(Kind::usage, fmt::format("--reason {}: RFC 5280 has no such reason", quoted(word)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : fmt::format("known are: {}", fmt::join(known, ", ")));
}

int reason_code(std::string_view reason) {
  for (const auto& [name, code] : kReasons) {
    if (reason == name) return code;
  }
  throw Error(Kind::malformed,
              fmt::format("the reason {}: RFC 5280 has none such", quoted(reason)));
}

Bytes parse_serial(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
  std::optional<Bytes> serial = parse_hex(digits);
  // As openssl and others print it, a number from 80 on may have a zero before it.
  while (serial && serial->size() > 1 && serial->front() == 0) serial->erase(serial->begin());
  if (!serial || serial->size() > 20) {
    throw Error(Kind::usage, fmt::format("the serial number {}: it is not hexadecimal of at most "
                                         "20 bytes",
                                         quoted(text)))
        .hint("see those that were given with: hsmith ca list NAME");
  }
  return *serial;
}

Issued check_revocation(Database& store, ByteView serial, std::string_view reason) {
  const auto issued = issued_with_serial(store, serial);
  const std::string doing = fmt::format("revoke the certificate {}", hex(serial));
  if (!issued) {
    throw Error(Kind::not_found, fmt::format("{}: this CA has given no such serial number", doing))
        .hint("see those that it gave with: hsmith ca list " +
              shell_word(read_settings(store).name));
  }
  const bool held = issued->reason == kHold;
  if (reason == kRelease && !held) {
    throw Error(Kind::refused,
                fmt::format("{}: only a certificate on hold can be released, {}", doing,
                            issued->reason.empty() ? "and this one is not revoked"
                                                   : "and this one is revoked"));
  }
  const bool for_good = !issued->reason.empty() && !held;
  if (for_good || (held && reason == kHold)) {
    throw Error(Kind::exists,
                fmt::format("{}: it has been {} since {} ({})", doing, held ? "on hold" : "revoked",
                            rfc3339(issued->revoked), issued->reason))
        .hint(fmt::format("put it on the list with: hsmith ca crl --ca {} -o FILE",
                          shell_word(read_settings(store).name)));
  }
  return *issued;
}

void add_revocation(Database& store, ByteView serial, std::string_view reason, std::time_t time) {
  store
      .prepare(
          "INSERT INTO event (issued, time, reason) SELECT id, ?, ? FROM issued WHERE serial = ?")
      .bind(1, std::int64_t{time})
      .bind(2, reason)
      .bind(3, serial)
      .run();
  if (store.changed() != 1)
    throw Error(Kind::internal, fmt::format("revoke {}: no row was written", hex(serial)));
}

std::vector<Revoked> revoked(Database& store, std::optional<std::int64_t> since) {
  // The state then and the state now, by certificate.
  struct State {
    bool before = false;
    bool changed = false;
    Revoked now;
  };
  std::map<Bytes, State> states;
  Statement row = store.prepare(
      "SELECT serial, event.time, reason, event.id FROM event JOIN issued ON issued.id = "
      "event.issued"
      " ORDER BY event.id");
  while (row.step()) {
    Revoked one{row.blob(0, 20), row.integer(1), row.text(2, 32)};
    reason_code(one.reason);
    State& state = states[one.serial];
    if (since && row.integer(3) > *since) {
      state.changed = true;
    } else {
      state.before = one.reason != kRelease;
    }
    state.now = std::move(one);
  }
  std::vector<Revoked> list;
  for (auto& [serial, state] : states) {
    if (since && !state.changed) continue;
    const bool released = state.now.reason == kRelease;
    if (released && !(since && state.before)) continue;
    list.push_back(std::move(state.now));
  }
  return list;
}

std::int64_t last_event(Database& store) {
  Statement row = store.prepare("SELECT coalesce(max(id), 0) FROM event");
  return row.step() ? row.integer(0) : 0;
}

}  // namespace hsmith::ca
