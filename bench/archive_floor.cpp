#include "bench/archive_floor.h"

#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sqlite3.h>
#include <stdexcept>

namespace hsmith::bench {
namespace {

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

sqlite3_stmt* prepared(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  must(sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK, sql);
  return statement;
}

void bind(sqlite3_stmt* statement, int at, const Bytes& value) {
  sqlite3_bind_blob(statement, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
}

Bytes copy_of(sqlite3_stmt* statement, int column) {
  const auto* value = static_cast<const unsigned char*>(sqlite3_column_blob(statement, column));
  return Bytes(value, value + sqlite3_column_bytes(statement, column));
}

}  // namespace

Bytes encode(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(key, &der);
  must(size > 0, "i2d_PrivateKey");
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

Bytes encrypt(const Bytes& plaintext, const std::vector<X509*>& to) {
  BIO* input = BIO_new_mem_buf(plaintext.data(), static_cast<int>(plaintext.size()));
  CMS_ContentInfo* cms = CMS_encrypt(nullptr, input, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL);
  for (X509* certificate : to) {
    CMS_RecipientInfo* recipient = CMS_add1_recipient_cert(cms, certificate, CMS_KEY_PARAM);
    EVP_PKEY_CTX* context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
    EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256());
  }
  must(CMS_final(cms, input, nullptr, CMS_BINARY) == 1, "CMS_final");
  unsigned char* der = nullptr;
  const int size = i2d_CMS_ContentInfo(cms, &der);
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  CMS_ContentInfo_free(cms);
  BIO_free(input);
  return bytes;
}

RawTable::RawTable(const std::string& file) {
  must(sqlite3_open(file.c_str(), &database_) == SQLITE_OK, "open");
  sqlite3_exec(database_,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE key (id INTEGER "
               "PRIMARY KEY, thumbprint BLOB NOT NULL UNIQUE, certificate BLOB, blob BLOB)",
               nullptr, nullptr, nullptr);
  insert_ = prepared(database_, "INSERT INTO key (thumbprint, certificate, blob) VALUES (?, ?, ?)");
}

RawTable::~RawTable() {
  sqlite3_finalize(insert_);
  sqlite3_close(database_);
}

void RawTable::begin() { sqlite3_exec(database_, "BEGIN", nullptr, nullptr, nullptr); }
void RawTable::commit() { sqlite3_exec(database_, "COMMIT", nullptr, nullptr, nullptr); }

void RawTable::add(const Bytes& thumbprint, const Bytes& certificate, const Bytes& blob) {
  bind(insert_, 1, thumbprint);
  bind(insert_, 2, certificate);
  bind(insert_, 3, blob);
  must(sqlite3_step(insert_) == SQLITE_DONE, "insert");
  sqlite3_reset(insert_);
}

RawFind::RawFind(const std::string& file) {
  must(sqlite3_open_v2(file.c_str(), &database_, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK,
       "open");
  sqlite3_exec(database_, "BEGIN", nullptr, nullptr, nullptr);
  term_ = prepared(database_, "SELECT key FROM term WHERE value = ? AND kind = ? LIMIT 1");
  row_ = prepared(
      database_,
      "SELECT seal, certificate, blob, origin, time, chain FROM archived_key WHERE id = ?");
  agents_ = prepared(database_, "SELECT agent FROM recipient WHERE key = ?");
}

RawFind::~RawFind() {
  for (sqlite3_stmt* statement : {term_, row_, agents_}) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

std::size_t RawFind::find(const std::string& kind, const std::string& value) {
  sqlite3_bind_text(term_, 1, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  sqlite3_bind_text(term_, 2, kind.data(), static_cast<int>(kind.size()), SQLITE_STATIC);
  must(sqlite3_step(term_) == SQLITE_ROW, "find");
  const std::int64_t id = sqlite3_column_int64(term_, 0);
  sqlite3_reset(term_);
  sqlite3_bind_int64(row_, 1, id);
  must(sqlite3_step(row_) == SQLITE_ROW, "read");
  std::size_t size = 0;
  for (const int column : {1, 2, 5}) size += copy_of(row_, column).size();
  sqlite3_reset(row_);
  sqlite3_bind_int64(agents_, 1, id);
  while (sqlite3_step(agents_) == SQLITE_ROW) size += copy_of(agents_, 0).size();
  sqlite3_reset(agents_);
  return size;
}

}  // namespace hsmith::bench
