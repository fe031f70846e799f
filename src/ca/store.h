// What an authority knows: one SQLite file with its certificates, what it issued and revoked, and
// the lists that it signed.
#pragma once

#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/sqlite.h"
#include "src/ossl/handles.h"

namespace hsmith::ca {

// Where an authority's file is.
std::filesystem::path store_path(const std::filesystem::path& state_folder, std::string_view name);
// The authorities of a state folder, sorted.
std::vector<std::string> authority_names(const std::filesystem::path& state_folder);

struct Settings {
  std::string name;
  std::string token_label;  // of the token that holds the key
  std::string token_serial;
  std::vector<std::string> crl_urls;  // written into certificates; empty: no extension
  std::vector<std::string> issuer_urls;
  int crl_days = 7;  // from a list to its next update
};

enum class AuthorityKind { self_signed, new_with_old, old_with_new };
const char* authority_kind_name(AuthorityKind kind);

// A certificate of the authority itself. Its keys are counted from 1: a new key is a generation.
struct Authority {
  std::int64_t id = 0;
  AuthorityKind kind = AuthorityKind::self_signed;
  int generation = 1;  // of the key that it certifies
  ossl::Certificate certificate;
};

// Makes the file with the first certificate in it, whole or not at all. Throws exists.
void create_store(const std::filesystem::path& file, const Settings& settings, X509* certificate);
// Throws not_found with the authorities that there are.
Database open_store(const std::filesystem::path& state_folder, std::string_view name,
                    DatabaseMode mode);
// A file of unknown origin: a backup.
Database open_store_file(const std::filesystem::path& file, DatabaseMode mode);

Settings read_settings(Database& store);
// Oldest first; each was parsed, and the first is self-signed.
std::vector<Authority> read_authorities(Database& store);
// The newest self-signed certificate of a generation; 0: the newest of all. Throws not_found.
const Authority& authority_in_service(const std::vector<Authority>& all, int generation = 0);
void add_authority(Database& store, AuthorityKind kind, int generation, X509* certificate);

// A certificate that the authority issued.
struct Issued {
  Bytes serial;
  Bytes certificate;           // DER
  std::int64_t authority = 0;  // whose key signed it: Authority.id
  std::string request;         // SHA-256 of the request, hex; "" when there was none
  std::string profile;
  std::string subject;  // RFC 4514
  std::string key;      // SHA-256 of the SubjectPublicKeyInfo, hex
  std::time_t not_after = 0;
  std::time_t issued = 0;
  std::string file;      // where it was written first
  std::string approval;  // what --approve said; "" when nothing
  // The last event, when it is no release.
  std::string reason;  // "" : not revoked
  std::time_t revoked = 0;
};
void add_issued(Database& store, const Issued& issued);
std::optional<Issued> issued_with_serial(Database& store, ByteView serial);
std::optional<Issued> issued_for_request(Database& store, std::string_view request_sha256);
std::vector<Issued> issued_for_key(Database& store, std::string_view key_sha256);
std::vector<Issued> issued_by_profile(Database& store, std::string_view profile);
// All of them, oldest first, one after the other.
void for_each_issued(Database& store, const std::function<void(const Issued&)>& take);

}  // namespace hsmith::ca
