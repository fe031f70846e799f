// The tables of an archive in a database of PostgreSQL: the schema hsmith, one archive a database.
#pragma once

#include <pqxx/connection>
#include <string>

namespace hsmith::recovery::postgresql {

// Throws malformed when the schema hsmith is there and is not an archive of this version.
bool has_archive(pqxx::connection& connection, const std::string& url);

// Makes the tables, all or none. Throws exists, refused.
void make_archive(pqxx::connection& connection, const std::string& url);

}  // namespace hsmith::recovery::postgresql
