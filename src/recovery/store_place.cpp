#include "src/recovery/store_place.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/recovery/store_plugin.h"
#include "src/recovery/store_sqlite.h"

namespace hsmith::recovery {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

std::string StorePlace::name() const {
  return file.empty() ? url : std::string(kSqlite) + file.string();
}

StorePlace parse_store_place(std::string_view text) {
  if (text.starts_with(kSqlite) && text.size() > kSqlite.size())
    return {text.substr(kSqlite.size()), ""};
  if (text.starts_with("postgresql://") || text.starts_with("postgres://"))
    return {{}, std::string(text)};
  throw Error(Kind::usage, fmt::format("open the archive {}: it is neither sqlite:PATH nor "
                                       "postgresql://…",
                                       quoted(text)));
}

bool store_exists(const StorePlace& place) {
  return place.file.empty() ? store_plugin().exists(place.url)
                            : std::filesystem::exists(place.file);
}

void create_store(const StorePlace& place) {
  if (place.file.empty()) return store_plugin().create(place.url);
  make_private_folder(place.file.parent_path());
  create_sqlite_store(place.file);
}

std::unique_ptr<Store> open_store(const StorePlace& place, StoreMode mode) {
  if (!store_exists(place)) {
    throw Error(Kind::not_found,
                fmt::format("open the archive {}: there is none", quoted(place.name())))
        .hint("make one with: hsmith archive init --seal-key KEY --trust CA");
  }
  return place.file.empty() ? store_plugin().open(place.url, mode)
                            : open_sqlite_store(place.file, mode);
}

bool holds_archive(const StorePlace& place) {
  return store_exists(place) && open_store(place, StoreMode::read)->last_seal().has_value();
}

}  // namespace hsmith::recovery
