// The floors for an archive: nothing but the work that cannot be left out, by OpenSSL and SQLite
// alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hsmith::bench {

// A private key as DER, as i2d_PrivateKey(3) writes it.
Bytes encode(EVP_PKEY* key);
// CMS EnvelopedData, AES-256-CBC, RSA-OAEP with SHA-256 to each recipient.
Bytes encrypt(const Bytes& plaintext, const std::vector<X509*>& to);

// A table of thumbprints and blobs: write-ahead log, synchronous=FULL.
class RawTable {
 public:
  explicit RawTable(const std::string& file);
  ~RawTable();
  void begin();
  void commit();
  void add(const Bytes& thumbprint, const Bytes& certificate, const Bytes& blob);

 private:
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

// The two look-ups by which a key is found in hsmith's own tables: its number by a term, its row.
class RawFind {
 public:
  explicit RawFind(const std::string& file);
  ~RawFind();
  // Bytes of the rows that were read.
  std::size_t find(const std::string& kind, const std::string& value);

 private:
  sqlite3* database_ = nullptr;
  sqlite3_stmt* term_ = nullptr;
  sqlite3_stmt* row_ = nullptr;
  sqlite3_stmt* agents_ = nullptr;
};

}  // namespace hsmith::bench
