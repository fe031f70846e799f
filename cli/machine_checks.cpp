#include "cli/machine_checks.h"

#include <ctime>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/changes.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/lock.h"
#include "src/base/shell_words.h"
#include "src/base/sqlite.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

std::optional<mode_t> mode_of(const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode;
}

bool is_regular(const std::filesystem::path& path) {
  const auto mode = mode_of(path);
  return mode && S_ISREG(*mode);
}

Check check_libraries() {
  const auto sqlite = sqlite_version();
  const std::string text =
      fmt::format("{}, {}, SQLite {}, p11-kit {}", HSMITH_VERSION, OpenSSL_version(OPENSSL_VERSION),
                  sqlite.value_or("not installed"), HSMITH_P11_KIT_VERSION);
  const std::string flaw = openssl_flaw(OpenSSL_version_num());
  if (!flaw.empty())
    return {"hsmith", State::warning, text + "; " + flaw,
            "install the updates of OpenSSL, or see whether yours has these mended: "
            "apt changelog libssl3"};
  if (!sqlite)
    return {"hsmith", State::warning, text + ": without it there is no CA and no archive",
            "install SQLite: apt install libsqlite3-0"};
  return {"hsmith", State::ok, text, ""};
}

// hsmith did not exist before.
constexpr std::time_t kBirth = 1'767'225'600;  // 2026-01-01

// As it stands in the log; empty when there is none. What cannot be read check_log tells.
std::string time_of_last_entry(const std::filesystem::path& log) {
  if (!is_regular(log)) return "";
  try {
    std::string last_line;
    audit::read_entries(log, [&](std::string_view line) { last_line = line; });
    return parse_json(last_line).at("time").get<std::string>();
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return "";
}

Check check_clock(const Context& context) {
  const std::time_t now = std::time(nullptr);
  if (now < kBirth)
    return {"clock", State::problem, rfc3339(now) + " is in the past",
            "set the clock of this machine"};
  const std::string last = time_of_last_entry(audit_file(context));
  const auto logged = parse_time(last);
  if (logged && *logged > now + 60) {
    return {"clock", State::problem,
            fmt::format("{} is before the last entry of the audit log, {}", rfc3339(now), last),
            "set the clock of this machine"};
  }
  return {"clock", State::ok, rfc3339(now), ""};
}

Check check_state_folder(const Context& context) {
  const auto& folder = context.environment.state_folder;
  const auto mode = mode_of(folder);
  if (!mode)
    return {"state folder", State::ok,
            folder.string() + " is not there yet; it is made when it is needed", ""};
  const std::string remedy = "chmod 700 " + shell_word(folder.string());
  if ((*mode & S_IWOTH) != 0)
    return {"state folder", State::problem, folder.string() + " can be written by others", remedy};
  if ((*mode & S_IWGRP) != 0) {
    return {"state folder", State::warning,
            folder.string() + " can be written by its group, and --repair acts on what is in it",
            remedy};
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return {"state folder", State::problem, folder.string() + " cannot be written",
            "make it yours, or name another with --state"};
  }
  return {"state folder", State::ok, folder.string(), ""};
}

Check check_lock_folder(const Context& context) {
  try {
    return {"lock folder", State::ok,
            lock_folder(context.config.lock_folder, context.environment).string(), ""};
  } catch (const Error& error) {
    return {"lock folder", State::problem, error.what(), error.hint()};
  }
}

Check check_log(const Context& context) {
  const auto log = audit_file(context);
  const auto mode = mode_of(log);
  if (!mode) return {"audit log", State::ok, log.string() + " is not there yet", ""};
  if ((*mode & (S_IWGRP | S_IWOTH)) != 0) {
    return {"audit log", State::problem, log.string() + " can be written by others",
            "chmod 600 " + shell_word(log.string())};
  }
  if (!S_ISREG(*mode)) {
    return {"audit log", State::problem, log.string() + " is no regular file",
            "move it away, or name another with [audit] file in the configuration"};
  }
  try {
    const audit::Verification found = audit::verify(log, std::nullopt);
    if (!found.problem.empty())
      return {"audit log", State::problem, found.problem,
              "compare it with a backup; see hsmith log verify"};
    return {"audit log", State::ok,
            fmt::format("{} entries hold (inner consistency only)", found.last.number), ""};
  } catch (const Error& error) {
    return {"audit log", State::problem, error.what(), "compare it with a backup"};
  }
}

// The file that the user's PIN would be read from; it is not opened.
std::optional<Check> check_pin_file(const Context& context) {
  tokens::PinSource source;
  try {
    source = tokens::choose_pin_source(pin_options(context, tokens::PinRole::user));
  } catch (const Error&) {  // none is named: nothing to look at
    return std::nullopt;
  }
  if (source.kind != tokens::PinSource::Kind::file) return std::nullopt;
  const auto mode = mode_of(source.argument);
  const std::string file = quoted(source.argument);
  if (!mode)
    return Check{"PIN file", State::problem, file + " is not there",
                 "name another with --pin-source"};
  if ((*mode & (S_IWGRP | S_IWOTH)) != 0)
    return Check{"PIN file", State::problem, file + " can be written by others",
                 "chmod go= " + shell_word(source.argument)};
  if ((*mode & (S_IRGRP | S_IROTH)) != 0)
    return Check{"PIN file", State::warning, file + " can be read by others",
                 "chmod go= " + shell_word(source.argument)};
  return Check{"PIN file", State::ok, file, ""};
}

}  // namespace

std::vector<Check> check_machine(const Context& context) {
  std::vector<Check> checks{check_libraries(), check_clock(context), check_state_folder(context),
                            check_lock_folder(context), check_log(context)};
  if (auto pin = check_pin_file(context)) checks.push_back(std::move(*pin));
  return checks;
}

std::vector<Check> check_module_file(const std::filesystem::path& module) {
  std::vector<Check> checks;
  for (const auto& path : {module, module.parent_path()}) {
    const auto mode = mode_of(path);
    // In a folder such as /tmp only an owner can replace what is there.
    if (!mode || (*mode & S_IWOTH) == 0 || (S_ISDIR(*mode) && (*mode & S_ISVTX) != 0)) continue;
    checks.push_back({"module", State::problem,
                      fmt::format("anybody can write to {}, and the module is given your PIN",
                                  quoted(path.string())),
                      "chmod o-w " + shell_word(path.string())});
  }
  return checks;
}

void refuse_unsafe_state(const Context& context) {
  const auto& folder = context.environment.state_folder;
  const auto mode = mode_of(folder);
  // In a folder such as /tmp others replace nothing of ours. Its group is the owner's choice: that
  // of a umask of 002, or of a volume that a cluster mounts.
  if (mode && (*mode & S_IWOTH) != 0 && (*mode & S_ISVTX) == 0)
    refuse_writable_by_others(folder.string(), "the state folder");
}

std::string openssl_flaw(unsigned long version) {
  constexpr unsigned long k3_0_0 = 0x30000000, k3_0_19 = 0x30000130, k3_0_21 = 0x30000150;
  if (version < k3_0_0 || version >= k3_0_21) return "";
  return fmt::format("{}CVE-2026-28390 and CVE-2026-34182 in reading CMS are mended in 3.0.21",
                     version < k3_0_19 ? "CVE-2025-15467, " : "");
}

}  // namespace hsmith::cli
