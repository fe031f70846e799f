// Whatever is done to the rows of an archive behind its back, archive verify finds it.
#include <gtest/gtest.h>
#include <random>

#include "src/base/error.h"
#include "tests/store/database.h"
#include "tests/support/archive_world.h"

namespace hsmith::recovery {
namespace {

constexpr int kEdits = 400;

// Edits a row of an archive at random; the same edits in every run.
class Editor {
 public:
  explicit Editor(tests::Database& database) : database_(database) {}

  // The statements of the next edit.
  std::vector<std::string> edit() {
    switch (below(6)) {
      case 0:
        return flip();
      case 1:
        return swap();
      case 2:
        return remove();
      case 3:
        return number();
      case 4:
        return refer();
      default:
        return add();
    }
  }

 private:
  struct Column {
    const char* table;
    const char* column;
  };

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  template <std::size_t N>
  Column any(const Column (&columns)[N]) {
    return columns[below(N)];
  }
  // A condition that one row of the table fulfils.
  std::string row_of(const std::string& table) {
    static const std::map<std::string, std::string> kNames{{"object", "sha256"},
                                                           {"seal", "number"},
                                                           {"archived_key", "id"},
                                                           {"term", "key"},
                                                           {"recipient", "key"}};
    const std::string& name = kNames.at(table);
    const std::string value = database_.ask(
        "SELECT " + name + " FROM " + table + " ORDER BY 1 LIMIT 1 OFFSET " +
        std::to_string(below(std::stoul(database_.ask("SELECT count(*) FROM " + table)))));
    const bool is_blob = name == "sha256";
    return name + " = " + (is_blob ? database_.literal(*parse_hex(value)) : value);
  }

  std::vector<std::string> flip() {
    const auto [table, column] = any({{"object", "der"},
                                      {"object", "sha256"},
                                      {"seal", "content"},
                                      {"seal", "signature"},
                                      {"archived_key", "blob"},
                                      {"archived_key", "certificate"},
                                      {"archived_key", "chain"}});
    const std::string row = row_of(table);
    Bytes bytes = *parse_hex(
        database_.ask(std::string("SELECT ") + column + " FROM " + table + " WHERE " + row));
    bytes[below(bytes.size())] ^= static_cast<unsigned char>(1u << below(8));
    return {std::string("UPDATE ") + table + " SET " + column + " = " + database_.literal(bytes) +
            " WHERE " + row};
  }
  // Another row's value.
  std::vector<std::string> swap() {
    const auto [table, column] = any({{"object", "der"},
                                      {"seal", "content"},
                                      {"seal", "signature"},
                                      {"archived_key", "blob"},
                                      {"archived_key", "certificate"}});
    const std::string one = row_of(table);
    std::string other = row_of(table);
    while (other == one) other = row_of(table);
    return {std::string("UPDATE ") + table + " SET " + column + " = (SELECT " + column + " FROM " +
            table + " WHERE " + other + ") WHERE " + one};
  }
  std::vector<std::string> remove() {
    static const char* const kTables[] = {"object", "seal", "archived_key", "recipient", "term"};
    const std::string table = kTables[below(5)];
    const std::string row = row_of(table);
    std::vector<std::string> statements{"DELETE FROM " + table + " WHERE " + row};
    // A key with all that belongs to it, as a careful thief would do it.
    if (table == "archived_key" && below(2) == 0) {
      const std::string key = "key" + row.substr(2);
      statements.push_back("DELETE FROM recipient WHERE " + key);
      statements.push_back("DELETE FROM term WHERE " + key);
    }
    return statements;
  }
  std::vector<std::string> number() {
    const auto [table, column] = any({{"seal", "number"},
                                      {"archived_key", "id"},
                                      {"archived_key", "seal"},
                                      {"archived_key", "time"},
                                      {"recipient", "key"},
                                      {"term", "key"}});
    return {std::string("UPDATE ") + table + " SET \"" + column + "\" = \"" + column + "\" + " +
            std::to_string(1000 + below(1000)) + " WHERE " + row_of(table)};
  }
  // Words and names: another origin, another term, an agent who cannot open it.
  std::vector<std::string> refer() {
    switch (below(4)) {
      case 0:
        return {"UPDATE archived_key SET origin = 'foreign' WHERE " + row_of("archived_key")};
      case 1:
        return {"UPDATE term SET value = 'carol' WHERE " + row_of("term") + " AND kind = 'cn'"};
      case 2:
        return {"UPDATE term SET kind = 'upn' WHERE " + row_of("term") + " AND kind = 'email'"};
      default:
        return {
            "UPDATE recipient SET agent = (SELECT certificate FROM archived_key LIMIT 1) WHERE " +
            row_of("recipient") +
            " AND agent = (SELECT agent FROM recipient ORDER BY agent LIMIT 1)"};
    }
  }
  std::vector<std::string> add() {
    const std::string id = std::to_string(1000 + below(1000));
    const Bytes der{0x30, 0x01, static_cast<unsigned char>(below(256))};
    switch (below(4)) {
      case 0:  // a key once more
        return {"INSERT INTO archived_key SELECT " + id +
                ", seal, certificate, blob, origin, \"time\", chain "
                "FROM archived_key WHERE " +
                row_of("archived_key")};
      case 1:  // something to be found by
        return {"INSERT INTO term SELECT 'mallory', 'cn', key FROM term WHERE " + row_of("term") +
                " LIMIT 1"};
      case 2:  // a certificate that nobody brought
        return {"INSERT INTO object VALUES (" + database_.literal(sha256_of(der)) + ", " +
                database_.literal(der) + ")"};
      default:  // an agent more
        return {
            "INSERT INTO recipient SELECT key, (SELECT certificate FROM archived_key LIMIT 1) FROM "
            "recipient WHERE " +
            row_of("recipient") + " LIMIT 1"};
    }
  }

  tests::Database& database_;
  std::mt19937 random_{20261126};
};

class MutationTest : public testing::TestWithParam<std::string> {
 protected:
  MutationTest() : at_(GetParam()) {
    Archive archive = world_.make(at_.place());
    for (int batch = 0; batch < 4; ++batch) {
      std::vector<Candidate> people;
      for (int i = 0; i < 3; ++i)
        people.push_back(world_.person("p" + std::to_string(batch) + std::to_string(i)));
      world_.add(archive, people);
    }
    last_seal_ = archive.last_seal;
    last_hash_ = archive.last_hash;
  }

  // What archive verify would say: problems, or why the archive is not even opened.
  std::string found() const {
    try {
      Archive archive = world_.open(at_.place(), StoreMode::read);
      // hsmith keeps the newest seal that it has seen outside of the store.
      if (archive.last_seal != last_seal_ || archive.last_hash != last_hash_) return "rolled back";
      ArchiveCounts counts;
      const auto problems = verify_archive(archive, counts);
      return problems.empty() ? "" : problems.front();
    } catch (const Error& error) {
      return error.what();
    }
  }

  tests::ArchiveWorld world_;
  tests::Place at_;
  std::int64_t last_seal_ = 0;
  std::string last_hash_;
};

TEST_P(MutationTest, EveryOneOfHundredsOfEditsIsFound) {
  ASSERT_EQ(found(), "");
  const auto database = at_.database();
  database->keep();
  Editor editor(*database);
  for (int i = 0; i < kEdits; ++i) {
    std::string edit;
    for (const std::string& statement : editor.edit()) {
      edit += statement + "; ";
      database->execute(statement);
    }
    EXPECT_NE(found(), "") << "edit " << i << ": " << edit;
    for (const char* table : {"object", "seal", "archived_key", "recipient", "term"}) {
      if (edit.find(std::string(" ") + table + " ") != std::string::npos)
        database->bring_back(table);
    }
    if (i % 50 != 0) continue;
    ASSERT_EQ(found(), "") << "after edit " << i << ": " << edit;
  }
  EXPECT_EQ(found(), "");
}

INSTANTIATE_TEST_SUITE_P(Both, MutationTest, testing::ValuesIn(tests::Place::stores()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace hsmith::recovery
