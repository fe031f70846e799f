#include "src/recovery/postgresql/connection.h"

#include <cstring>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <utility>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::recovery::postgresql {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

// A server that is gone is noticed in half a minute.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"connect_timeout", "10"},     {"keepalives_idle", "15"},
    {"keepalives_interval", "5"},  {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"}, {"fallback_application_name", "hsmith"}};

// Another transaction is waited for as long as with SQLite. One whose process no longer answers is
// ended by the server, or nobody else could ever write.
constexpr const char* kSettings =
    "SET client_encoding = 'UTF8'; SET client_min_messages = 'error'; SET search_path = ''; "
    "SET lock_timeout = '5s'; SET statement_timeout = '2min'; "
    "SET idle_in_transaction_session_timeout = '10min'; SET synchronous_commit = 'on'";

void append(std::string& text, std::string_view keyword, std::string_view value) {
  text += fmt::format("{}{}='", text.empty() ? "" : " ", keyword);
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  text += '\'';
}

// The URL as libpq understands it, with the defaults of above for what it does not say.
std::string connection_text(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(url.c_str(), nullptr));
  if (!options) {  // libpq's message would show all of it, a password too
    throw Error(Kind::usage, "open the archive: its postgresql URL is none that libpq understands")
        .hint("postgresql://USER@HOST/DATABASE?sslmode=verify-full");
  }
  std::string text;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const bool is_set = option->val != nullptr && *option->val != '\0';
    const std::string_view keyword = option->keyword;
    if (is_set && (keyword == "password" || keyword == "sslpassword")) {
      throw Error(Kind::refused, "open the archive: its URL holds a password, which others can see")
          .hint("use a pass file (~/.pgpass) or a service (postgresql:///?service=NAME)");
    }
    if (is_set) append(text, keyword, option->val);
    for (const auto& [name, value] : kDefaults) {
      if (!is_set && keyword == name) append(text, keyword, value);
    }
  }
  return text;
}

}  // namespace

std::unique_ptr<Connection> connect(const std::string& url) {
  const std::string text = connection_text(url);
  try {
    auto connection = std::make_unique<Connection>(text);
    pqxx::nontransaction(*connection).exec(kSettings);
// A connection that was lost does not come back unseen, without these settings.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    connection->inhibit_reactivation(true);
#pragma GCC diagnostic pop
    return connection;
  } catch (const pqxx::broken_connection& error) {
    throw Error(Kind::io, fmt::format("connect to the archive {}: {}", quoted(url),
                                      printable(trim(error.what()))))
        .hint(
            "psql with the same URL says the same; a password comes from a pass file "
            "(~/.pgpass) or a service");
  } catch (...) {
    fail(url, "connect to");
  }
}

namespace {

struct Meaning {
  const char* state;  // PostgreSQL, appendix A; a prefix
  Kind kind;
  const char* hint;
};

constexpr const char* kAgain = "run the command again";
constexpr Meaning kMeanings[] = {
    {"55P03", Kind::busy, "another process changes the archive; run the command again"},
    {"57014", Kind::busy, "the server took too long; run the command again"},
    {"40", Kind::busy, kAgain},
    {"42501", Kind::refused, "this database role may not do it: docs/archive-roles.sql"},
    {"25006", Kind::refused, "the server only reads: it is a standby, or the role is read-only"},
    {"23", Kind::exists, "look at the archive with: hsmith archive verify"},
    {"42", Kind::malformed, "the tables in the schema hsmith are not those of an archive"},
    {"22", Kind::malformed, "look at the archive with: hsmith archive verify"},
    {"53100", Kind::io, "the server's disk is full"},
};

// libpqxx 6.4 gives no code to the exceptions that have a class of their own.
std::string state_of(const pqxx::sql_error& error) {
  if (!error.sqlstate().empty()) return error.sqlstate();
  const auto is = [&error]<typename Class>(const Class*) {
    return dynamic_cast<const Class*>(&error) != nullptr;
  };
  if (is(static_cast<const pqxx::insufficient_privilege*>(nullptr))) return "42501";
  if (is(static_cast<const pqxx::syntax_error*>(nullptr))) return "42000";
  if (is(static_cast<const pqxx::disk_full*>(nullptr))) return "53100";
  if (is(static_cast<const pqxx::integrity_constraint_violation*>(nullptr))) return "23000";
  if (is(static_cast<const pqxx::data_exception*>(nullptr))) return "22000";
  return "";
}

// PostgreSQL's first line; those after it show the statement.
std::string cause_of(const std::exception& error) {
  const std::string_view text = trim(error.what());
  return printable(text.substr(0, text.find('\n')));
}

[[noreturn]] void fail_sql(const pqxx::sql_error& error, const std::string& what) {
  const std::string message = what + ": " + cause_of(error);
  const std::string state = state_of(error);
  for (const Meaning& meaning : kMeanings) {
    if (state.starts_with(meaning.state)) throw Error(meaning.kind, message).hint(meaning.hint);
  }
  throw Error(Kind::io, message);
}

}  // namespace

void fail(const std::string& url, std::string_view doing) {
  const std::string what = fmt::format("{} the archive {}", doing, quoted(url));
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const pqxx::in_doubt_error&) {
    throw Error(Kind::io, what +
                              ": the connection was lost while the change was committed: it is "
                              "there as a whole, or not at all")
        .hint("run the command again: what is there is not added twice");
  } catch (const pqxx::broken_connection& error) {
    throw Error(Kind::io, fmt::format("{}: the connection was lost, and nothing was changed: {}",
                                      what, cause_of(error)))
        .hint(kAgain);
  } catch (const pqxx::transaction_rollback& error) {  // a conflict or a deadlock
    throw Error(Kind::busy, what + ": " + cause_of(error)).hint(kAgain);
  } catch (const pqxx::sql_error& error) {
    fail_sql(error, what);
  } catch (const std::exception& error) {
    throw Error(Kind::malformed, fmt::format("{}: {}", what, printable(trim(error.what()))));
  }
}

}  // namespace hsmith::recovery::postgresql
