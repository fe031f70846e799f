#include "src/ca/store.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::ca {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestText = 8192;
constexpr std::size_t kLongestCertificate = 65536;

constexpr Schema kSchema{"CA database", 0x48534341 /* HSCA */, 1, R"sql(
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
CREATE TABLE authority (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  generation INTEGER NOT NULL,
  certificate BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE issued (
  id INTEGER PRIMARY KEY,
  serial BLOB NOT NULL UNIQUE,
  certificate BLOB NOT NULL,
  authority INTEGER NOT NULL REFERENCES authority(id),
  request TEXT NOT NULL,
  profile TEXT NOT NULL,
  subject TEXT NOT NULL,
  key TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  file TEXT NOT NULL,
  approval TEXT NOT NULL
) STRICT;
CREATE INDEX issued_request ON issued (request);
CREATE INDEX issued_key ON issued (key);
CREATE INDEX issued_profile ON issued (profile);
CREATE TABLE event (
  id INTEGER PRIMARY KEY,
  issued INTEGER NOT NULL REFERENCES issued(id),
  time INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX event_issued ON event (issued);
CREATE TABLE crl (
  number INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL,
  base INTEGER REFERENCES crl(number),
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  last_event INTEGER NOT NULL
) STRICT
)sql"};

constexpr const char* kIssuedColumns =
    "SELECT serial, certificate, authority, request, profile, subject, key, not_after, "
    "issued.issued,"
    " file, approval, event.reason, event.time FROM issued"
    " LEFT JOIN event ON event.id = (SELECT max(id) FROM event WHERE event.issued = issued.id)";

constexpr AuthorityKind kKinds[] = {AuthorityKind::self_signed, AuthorityKind::new_with_old,
                                    AuthorityKind::old_with_new};

fs::path folder_of(const fs::path& state_folder) { return state_folder / "ca"; }

// The text that file_name_for made a file's name of; nullopt when it made none such.
std::optional<std::string> name_of_file(const std::string& file) {
  std::string name;
  for (std::size_t i = 0; i < file.size(); ++i) {
    if (file[i] != '_') {
      name += file[i];
      continue;
    }
    const auto byte = parse_hex(std::string_view(file).substr(i + 1, 2));
    if (!byte) return std::nullopt;
    name += static_cast<char>(byte->front());
    i += 2;
  }
  return file_name_for(name) == file ? std::optional(name) : std::nullopt;
}

void set(Database& store, std::string_view name, std::string_view value) {
  store.prepare("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)")
      .bind(1, name)
      .bind(2, value)
      .run();
}

std::string setting(Database& store, std::string_view name) {
  Statement row = store.prepare("SELECT value FROM setting WHERE name = ?");
  row.bind(1, name);
  return row.step() ? row.text(0, kLongestText) : "";
}

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

Error damaged(const Database& store, std::string_view cause) {
  return Error(Kind::malformed,
               fmt::format("read the database {}: {}", quoted(store.path()), cause));
}

Issued issued_of(Statement& row) {
  Issued issued;
  issued.serial = row.blob(0, 20);
  issued.certificate = row.blob(1, kLongestCertificate);
  issued.authority = row.integer(2);
  issued.request = row.text(3, 64);
  issued.profile = row.text(4, 255);
  issued.subject = row.text(5, 65536);
  issued.key = row.text(6, 64);
  issued.not_after = row.integer(7);
  issued.issued = row.integer(8);
  issued.file = row.text(9, kLongestText);
  issued.approval = row.text(10, 64);
  if (!row.is_null(11) && row.text(11, 32) != "removeFromCRL") {
    issued.reason = row.text(11, 32);
    issued.revoked = row.integer(12);
  }
  return issued;
}

std::vector<Issued> all_of(Statement row) {
  std::vector<Issued> found;
  while (row.step()) found.push_back(issued_of(row));
  return found;
}

}  // namespace

const char* authority_kind_name(AuthorityKind kind) {
  if (kind == AuthorityKind::new_with_old) return "new_with_old";
  return kind == AuthorityKind::old_with_new ? "old_with_new" : "self_signed";
}

fs::path store_path(const fs::path& state_folder, std::string_view name) {
  return folder_of(state_folder) / (file_name_for(name) + ".db");
}

std::vector<std::string> authority_names(const fs::path& state_folder) {
  std::vector<std::string> names;
  std::error_code none;  // no folder, no authority
  for (const auto& file : fs::directory_iterator(folder_of(state_folder), none)) {
    if (file.path().extension() != ".db") continue;
    if (const auto name = name_of_file(file.path().stem().string())) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void create_store(const fs::path& file, const Settings& settings, X509* certificate) {
  make_private_folder(file.parent_path());
  create_database(file, kSchema, [&](Database& store) {
    set(store, "name", settings.name);
    set(store, "token_label", settings.token_label);
    set(store, "token_serial", settings.token_serial);
    set(store, "crl_urls", joined(settings.crl_urls));
    set(store, "issuer_urls", joined(settings.issuer_urls));
    set(store, "crl_days", std::to_string(settings.crl_days));
    add_authority(store, AuthorityKind::self_signed, 1, certificate);
  });
}

Database open_store(const fs::path& state_folder, std::string_view name, DatabaseMode mode) {
  try {
    return open_store_file(store_path(state_folder, name), mode);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw;
    throw Error(Kind::not_found,
                fmt::format("open the CA {}: there is none of this name in {}", quoted(name),
                            quoted(folder_of(state_folder).string())))
        .hint("see those that there are with: hsmith ca list")
        .candidates(authority_names(state_folder));
  }
}

Database open_store_file(const fs::path& file, DatabaseMode mode) {
  return Database(file, kSchema, mode);
}

Settings read_settings(Database& store) {
  Settings settings;
  settings.name = setting(store, "name");
  settings.token_label = setting(store, "token_label");
  settings.token_serial = setting(store, "token_serial");
  settings.crl_urls = split(setting(store, "crl_urls"), '\n');
  settings.issuer_urls = split(setting(store, "issuer_urls"), '\n');
  const std::string days = setting(store, "crl_days");
  if (settings.name.empty() || days.empty() || days.size() > 4 ||
      days.find_first_not_of("0123456789") != std::string::npos)
    throw damaged(store, "its settings are not whole");
  settings.crl_days = std::stoi(days);
  return settings;
}

std::vector<Authority> read_authorities(Database& store) {
  std::vector<Authority> all;
  Statement row =
      store.prepare("SELECT id, kind, generation, certificate FROM authority ORDER BY id");
  while (row.step()) {
    Authority one;
    one.id = row.integer(0);
    const std::string kind = row.text(1, 32);
    const auto known = std::find_if(std::begin(kKinds), std::end(kKinds), [&](AuthorityKind k) {
      return kind == authority_kind_name(k);
    });
    const std::int64_t generation = row.integer(2);
    if (known == std::end(kKinds) || generation < 1 || generation > 1000)
      throw damaged(store, "a certificate of the authority is of no known kind");
    one.kind = *known;
    one.generation = static_cast<int>(generation);
    one.certificate = x509::certificate_from_der(row.blob(3, kLongestCertificate), store.path());
    x509::public_key_of(one.certificate.get());
    all.push_back(std::move(one));
  }
  if (all.empty() || all.front().kind != AuthorityKind::self_signed)
    throw damaged(store, "it has no certificate of its authority");
  return all;
}

const Authority& authority_in_service(const std::vector<Authority>& all, int generation) {
  const Authority* newest = nullptr;
  for (const Authority& one : all) {
    const bool asked = generation == 0 || one.generation == generation;
    if (one.kind == AuthorityKind::self_signed && asked) newest = &one;
  }
  if (newest == nullptr)
    throw Error(Kind::not_found,
                fmt::format("find the authority's key number {}: it never had one", generation));
  return *newest;
}

void add_authority(Database& store, AuthorityKind kind, int generation, X509* certificate) {
  store.prepare("INSERT INTO authority (kind, generation, certificate) VALUES (?, ?, ?)")
      .bind(1, std::string_view(authority_kind_name(kind)))
      .bind(2, std::int64_t{generation})
      .bind(3, ByteView(x509::certificate_der(certificate)))
      .run();
}

void add_issued(Database& store, const Issued& issued) {
  store
      .prepare(
          "INSERT INTO issued (serial, certificate, authority, request, profile, subject, key,"
          " not_after, issued, file, approval) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(1, ByteView(issued.serial))
      .bind(2, ByteView(issued.certificate))
      .bind(3, issued.authority)
      .bind(4, std::string_view(issued.request))
      .bind(5, std::string_view(issued.profile))
      .bind(6, std::string_view(issued.subject))
      .bind(7, std::string_view(issued.key))
      .bind(8, std::int64_t{issued.not_after})
      .bind(9, std::int64_t{issued.issued})
      .bind(10, std::string_view(issued.file))
      .bind(11, std::string_view(issued.approval))
      .run();
}

std::optional<Issued> issued_with_serial(Database& store, ByteView serial) {
  Statement row = store.prepare(fmt::format("{} WHERE serial = ?", kIssuedColumns));
  row.bind(1, serial);
  return row.step() ? std::optional(issued_of(row)) : std::nullopt;
}

std::optional<Issued> issued_for_request(Database& store, std::string_view request_sha256) {
  Statement row = store.prepare(
      fmt::format("{} WHERE request = ? ORDER BY issued.id DESC LIMIT 1", kIssuedColumns));
  row.bind(1, request_sha256);
  return row.step() ? std::optional(issued_of(row)) : std::nullopt;
}

std::vector<Issued> issued_for_key(Database& store, std::string_view key_sha256) {
  Statement row = store.prepare(fmt::format("{} WHERE key = ? ORDER BY issued.id", kIssuedColumns));
  row.bind(1, key_sha256);
  return all_of(std::move(row));
}

std::vector<Issued> issued_by_profile(Database& store, std::string_view profile) {
  Statement row =
      store.prepare(fmt::format("{} WHERE profile = ? ORDER BY issued.id", kIssuedColumns));
  row.bind(1, profile);
  return all_of(std::move(row));
}

void for_each_issued(Database& store, const std::function<void(const Issued&)>& take) {
  Statement row = store.prepare(fmt::format("{} ORDER BY issued.id", kIssuedColumns));
  while (row.step()) take(issued_of(row));
}

}  // namespace hsmith::ca
