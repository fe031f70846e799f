#include "tokens/pin_marker.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

namespace fs = std::filesystem;

bool is_so(PinRole role) { return role == PinRole::so || role == PinRole::new_so; }

fs::path marker_path(const fs::path& state_folder, std::string_view serial, PinRole role) {
  return state_folder / "pin-failed" / (file_name_for(serial) + (is_so(role) ? ".so" : ".user"));
}

}  // namespace

void refuse_after_failed_pin(const fs::path& state_folder, std::string_view serial, PinRole role) {
  const fs::path path = marker_path(state_folder, serial, role);
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return;
  if (!fs::status_known(status)) {
    throw Error(Kind::io, fmt::format("look for {}: {}", quoted(path.string()), error.message()));
  }
  throw Error(Kind::pin_failed_before,
              fmt::format("log in to the token with serial number {}: the {} given last was wrong, "
                          "and another try could lock it",
                          quoted(serial), is_so(role) ? "SO PIN" : "PIN"))
      .hint("log in once at a terminal, or correct the PIN's source and give --retry-pin");
}

void check_failed_pin_can_be_noted(const fs::path& state_folder, std::string_view serial,
                                   PinRole role) {
  const fs::path path = marker_path(state_folder, serial, role);
  try {
    make_private_folder(path.parent_path());
    check_output(path.string(), Replace::yes);
  } catch (const Error& error) {
    throw error
        .during(fmt::format("log in to the token with serial number {}: the {} was not sent, as it "
                            "could not be noted that it was wrong",
                            quoted(serial), is_so(role) ? "SO PIN" : "PIN"))
        .hint("make the state folder writable, or name another with --state");
  }
}

std::string note_failed_pin(const fs::path& state_folder, std::string_view serial, PinRole role) {
  const fs::path path = marker_path(state_folder, serial, role);
  const std::string content = fmt::format("serial {}\ntime {}\nuser {}\n", printable(serial),
                                          rfc3339(std::time(nullptr)), is_so(role) ? "so" : "user");
  try {
    make_private_folder(path.parent_path());
    write_file(path.string(), as_bytes(content), kPrivateFile, Replace::yes);
    return "";
  } catch (const Error& error) {
    return fmt::format("that it was wrong could not be noted, so the next run sends it again: {}",
                       error.what());
  }
}

void forget_failed_pin(const fs::path& state_folder, std::string_view serial, PinRole role) {
  const fs::path path = marker_path(state_folder, serial, role);
  if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    throw Error(Kind::io,
                fmt::format("remove {}: {}", quoted(path.string()), std::strerror(errno)));
  }
}

}  // namespace hsmith::tokens
