// Whatever is done to the rows of an archive behind its back, archive verify finds it, and no key
// that is still whole is lost by what is archived afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "src/base/error.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key_blob.h"
#include "src/x509/certificate.h"
#include "tests/store/database.h"
#include "tests/support/archive_world.h"

namespace hsmith::recovery {
namespace {

constexpr int kEdits = 400;
constexpr int kEditsBeforeAChange = 30;
constexpr const char* kTables[] = {"object", "seal", "archived_key", "recipient", "term"};

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
    switch (below(5)) {
      case 4:
        return lead_astray();
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

  // By one key's thumbprint another one is found too.
  std::vector<std::string> lead_astray() {
    const std::string one = row_of("term");
    std::string other = row_of("term");
    while (other == one) other = row_of("term");
    return {"INSERT INTO term SELECT value, kind, " + other.substr(6) + " FROM term WHERE " + one +
            " AND kind = 'thumbprint'"};
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
      for (Candidate& person : people) people_.push_back(std::move(person));
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

  // Throws unless the first agent gets this person's key out of the archive.
  void recover(Archive& archive, const Candidate& person) const {
    const auto der = x509::certificate_der(person.certificate.get());
    const auto there = archived_key(archive, sha256_of(der));
    if (!there.row) throw Error(Kind::not_found, "it is not there");
    checked_certificate(archive, there.row->certificate);
    const Envelope envelope = read_envelope(there.row->blob, "the blob");
    const tests::Identity& agent = world_.agents().front();
    for (const cms::Recipient& recipient : envelope.data.recipients) {
      if (!cms::names(recipient.name, agent.certificate.get())) continue;
      const Secret plaintext = open_envelope(envelope, recipient, *agent.key, "the blob");
      read_archived_key(plaintext.reveal(), x509::public_key_of(person.certificate.get()), "it");
      return;
    }
    throw Error(Kind::not_found, "it is encrypted to others");
  }

  // Whose keys can be recovered.
  std::vector<bool> recoverable(const std::vector<Candidate>& people) const {
    std::vector<bool> can(people.size(), false);
    try {
      Archive archive = world_.open(at_.place(), StoreMode::read);
      for (std::size_t i = 0; i < people.size(); ++i) {
        try {
          recover(archive, people[i]);
          can[i] = true;
        } catch (const Error&) {  // this one cannot
        }
      }
    } catch (const Error&) {  // nobody's: it does not open
    }
    return can;
  }

  // Archives a person's key, anew where it is there. False when that is refused.
  bool archive(const Candidate& person) const {
    std::vector<Candidate> one(1);
    one.front().key = ossl::share(person.key.get());
    one.front().certificate = ossl::share(person.certificate.get());
    one.front().chain.push_back(ossl::share(world_.ca().certificate.get()));
    one.front().again = true;
    try {
      Archive archive = world_.open(at_.place(), StoreMode::change);
      world_.add(archive, one);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  tests::ArchiveWorld world_;
  std::vector<Candidate> people_;
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
    for (const char* table : kTables) {
      if (edit.find(std::string(" ") + table + " ") != std::string::npos)
        database->bring_back(table);
    }
    if (i % 50 != 0) continue;
    ASSERT_EQ(found(), "") << "after edit " << i << ": " << edit;
  }
  EXPECT_EQ(found(), "");
}

TEST_P(MutationTest, WhatIsArchivedAnewAfterAnEditIsThereAndTakesNoOtherKeyAway) {
  const auto database = at_.database();
  database->keep();
  Editor editor(*database);
  int archived = 0;
  for (int i = 0; i < kEditsBeforeAChange; ++i) {
    std::string edit;
    for (const std::string& statement : editor.edit()) {
      edit += statement + "; ";
      database->execute(statement);
    }
    std::vector<bool> before = recoverable(people_);
    const std::size_t chosen = static_cast<std::size_t>(i) % people_.size();
    if (archive(people_[chosen])) {
      ++archived;
      before[chosen] = true;
    }
    const std::vector<bool> after = recoverable(people_);
    for (std::size_t k = 0; k < people_.size(); ++k)
      EXPECT_TRUE(!before[k] || after[k]) << "person " << k << ", " << edit;
    for (const char* table : kTables) database->bring_back(table);
  }
  EXPECT_GT(archived, kEditsBeforeAChange / 2);
  EXPECT_EQ(found(), "");
}

TEST_P(MutationTest, ADamagedRowIsWrittenWholeUnderItsNumberWhenItsKeyComesAgain) {
  const auto database = at_.database();
  const std::string all = database->ask("SELECT max(id) FROM archived_key");
  for (const std::string& damage :
       {"UPDATE archived_key SET blob = " + database->literal(Bytes{0}) + " WHERE id = 2",
        std::string("DELETE FROM archived_key WHERE id = 2"),
        std::string("UPDATE archived_key SET certificate = (SELECT k.certificate FROM archived_key "
                    "AS k WHERE k.id = 3) WHERE id = 2")}) {
    database->execute(damage);
    EXPECT_FALSE(recoverable(people_)[1]) << damage;
    EXPECT_TRUE(archive(people_[1])) << damage;
    EXPECT_THAT(recoverable(people_), testing::Each(true)) << damage;
    EXPECT_EQ(database->ask("SELECT max(id) FROM archived_key"), all);
    Archive archive = world_.open(at_.place(), StoreMode::read);
    ArchiveCounts counts;
    EXPECT_THAT(verify_archive(archive, counts), testing::ElementsAre());
  }
}

TEST_P(MutationTest, ASearchTermDoesNotMakeOneKeyPassForAnother) {
  const auto database = at_.database();
  people_.push_back(world_.person("newcomer"));
  X509* newcomer = people_.back().certificate.get();
  const Bytes sha256 = sha256_of(x509::certificate_der(newcomer));
  database->execute("INSERT INTO term VALUES ('" + hex(sha256) + "', 'thumbprint', 1)");
  {
    Archive archive = world_.open(at_.place(), StoreMode::read);
    EXPECT_FALSE(is_archived(archive, newcomer));
  }
  EXPECT_TRUE(archive(people_.back()));
  EXPECT_THAT(recoverable(people_), testing::Each(true));
}

TEST_P(MutationTest, ALostKeysNumberIsNobodyElsesAndIsMissedUntilTheKeyComesAgain) {
  const auto database = at_.database();
  const std::string last = database->ask("SELECT max(id) FROM archived_key");
  for (const char* table : {"recipient", "term"})
    database->execute(std::string("DELETE FROM ") + table + " WHERE key = " + last);
  database->execute("DELETE FROM archived_key WHERE id = " + last);
  people_.push_back(world_.person("newcomer"));
  ASSERT_TRUE(archive(people_.back()));
  EXPECT_EQ(database->ask("SELECT max(id) FROM archived_key"), std::to_string(std::stol(last) + 1));
  const auto problems = [&] {
    Archive archive = world_.open(at_.place(), StoreMode::read);
    ArchiveCounts counts;
    return verify_archive(archive, counts);
  };
  EXPECT_THAT(problems(), testing::Contains("key " + last + " is missing"));
  EXPECT_TRUE(archive(people_[people_.size() - 2]));
  EXPECT_THAT(problems(), testing::IsEmpty());
  EXPECT_THAT(recoverable(people_), testing::Each(true));
}

INSTANTIATE_TEST_SUITE_P(Both, MutationTest, testing::ValuesIn(tests::Place::stores()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace hsmith::recovery
