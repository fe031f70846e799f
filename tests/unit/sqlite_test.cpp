#include "src/base/sqlite.h"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using tests::error_of;
using tests::TemporaryFolder;
namespace fs = std::filesystem;

constexpr Schema kSchema{"shopping list", 0x54455354, 1,
                         "CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
                         "CREATE TABLE item (id INTEGER PRIMARY KEY, shop INTEGER NOT NULL "
                         "REFERENCES shop(id), what ANY) STRICT"};

class SqliteTest : public testing::Test {
 protected:
  SqliteTest() { create_database(file_, kSchema); }

  Database open(DatabaseMode mode = DatabaseMode::change) const {
    return Database(file_, kSchema, mode);
  }
  static std::int64_t count(Database& database) {
    Statement statement = database.prepare("SELECT count(*) FROM shop");
    return statement.step() ? statement.integer(0) : -1;
  }
  static void add(Database& database, std::string_view name) {
    database.prepare("INSERT INTO shop (name) VALUES (?)").bind(1, name).run();
  }

  TemporaryFolder folder_;
  std::string file_ = folder_ / "list.db";
};

TEST_F(SqliteTest, WhatIsBoundComesBackAsItWas) {
  Database database = open();
  add(database, "Grüner Markt'); DROP TABLE shop;--");
  const Bytes blob{0, 1, 0xff, 0};
  database.prepare("INSERT INTO item (shop, what) SELECT max(id), ? FROM shop")
      .bind(1, ByteView(blob))
      .run();
  EXPECT_EQ(database.changed(), 1);
  Statement row = database.prepare("SELECT name, what, NULL FROM shop JOIN item ON shop.id = shop");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "Grüner Markt'); DROP TABLE shop;--");
  EXPECT_EQ(row.blob(1), blob);
  EXPECT_TRUE(row.is_null(2));
  EXPECT_FALSE(row.step());
}

TEST_F(SqliteTest, EmptyTextAndEmptyBlobAreNotNull) {
  Database database = open();
  add(database, "");
  database.prepare("INSERT INTO item (shop, what) VALUES (1, ?)").bind(1, ByteView()).run();
  Statement row = database.prepare("SELECT name, what FROM shop, item");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "");
  EXPECT_EQ(row.blob(1), Bytes());
}

TEST_F(SqliteTest, AValueOfAnotherTypeOrLengthIsRefusedWithThePath) {
  Database database = open();
  Statement row = database.prepare("SELECT 'text', 5, x'c328', CAST(x'c328' AS TEXT), NULL");
  ASSERT_TRUE(row.step());
  EXPECT_THAT(error_of([&] { row.integer(0); }).what(), HasSubstr("value 1 is not a number"));
  EXPECT_THAT(error_of([&] { row.text(1); }).what(), HasSubstr("list.db"));
  EXPECT_THAT(error_of([&] { row.text(2); }).what(), HasSubstr("value 3 is not text"));
  EXPECT_THAT(error_of([&] { row.text(3); }).what(), HasSubstr("value 4 is not UTF-8"));
  EXPECT_THAT(error_of([&] { row.blob(4); }).what(), HasSubstr("value 5 is not a blob"));
  EXPECT_EQ(error_of([&] { row.text(0, 3); }).kind(), Kind::malformed);
  EXPECT_EQ(row.text(0, 4), "text");
}

TEST_F(SqliteTest, ATransactionThatIsNotCommittedLeavesNothing) {
  Database database = open();
  {
    Transaction transaction(database);
    add(database, "one");
  }
  EXPECT_EQ(count(database), 0);
  Transaction transaction(database);
  add(database, "two");
  transaction.commit();
  EXPECT_EQ(count(database), 1);
}

TEST_F(SqliteTest, WhatIsCommittedSurvivesAKill) {
  const pid_t child = fork();
  if (child == 0) {
    Database database = open();
    {
      Transaction transaction(database);
      add(database, "kept");
      transaction.commit();
    }
    Transaction transaction(database);
    add(database, "lost");
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  Database database = open();
  EXPECT_EQ(count(database), 1);
  EXPECT_EQ(database.integrity_problem(), "");
}

TEST_F(SqliteTest, AForeignKeyMustLeadSomewhere) {
  Database database = open();
  const Error error = error_of([&] { database.execute("INSERT INTO item (shop) VALUES (7)"); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("FOREIGN KEY"));
}

TEST_F(SqliteTest, TheFileIsTheUsersOwnAndOneFileWhenNobodyUsesIt) {
  {
    Database database = open();
    add(database, "one");
  }
  struct stat status {};
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SqliteTest, AFileThatIsThereIsNotReplaced) {
  EXPECT_EQ(error_of([&] { create_database(file_, kSchema); }).kind(), Kind::exists);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SqliteTest, OtherFilesAndOtherDatabasesAreRefused) {
  const auto refusal = [&](const std::string& file) {
    return error_of([&] { Database(file, kSchema, DatabaseMode::change); });
  };
  EXPECT_EQ(refusal(folder_ / "none.db").kind(), Kind::not_found);
  const Error text = refusal(folder_.write("text", std::string(5000, 'x')));
  EXPECT_EQ(text.kind(), Kind::malformed);
  EXPECT_THAT(text.what(), HasSubstr("it is no database of SQLite"));
  EXPECT_EQ(refusal(folder_.write("open.db", "", 0666)).kind(), Kind::unsafe_permissions);
  EXPECT_EQ(refusal(folder_.path().string()).kind(), Kind::malformed);

  Schema other = kSchema;
  other.version = 2;
  const Error version = error_of([&] { Database(file_, other, DatabaseMode::read); });
  EXPECT_THAT(version.what(), HasSubstr("it has version 1, this program writes version 2"));
  other = kSchema;
  other.application_id = 1;
  EXPECT_THAT(error_of([&] { Database(file_, other, DatabaseMode::read); }).what(),
              MatchesRegex("open the shopping list .*: it is another kind of database"));
}

TEST_F(SqliteTest, ADatabaseWithMoreThanItsTablesIsRefused) {
  {
    Database database = open();
    database.execute("CREATE TRIGGER t AFTER INSERT ON shop BEGIN DELETE FROM item; END");
  }
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("its tables are not as they were made"));
}

TEST_F(SqliteTest, ADamagedFileSaysSo) {
  {
    Database database = open();
    Transaction transaction(database);
    for (int i = 0; i < 2000; ++i) add(database, std::string(40, 'x'));
    transaction.commit();
  }
  FILE* file = fopen(file_.c_str(), "r+");
  ASSERT_NE(file, nullptr);
  fseek(file, 5 * 4096, SEEK_SET);
  fwrite(std::string(4096, 'x').data(), 1, 4096, file);
  fclose(file);
  Database database = open();
  EXPECT_NE(database.integrity_problem(), "");
  const Error error = error_of([&] {
    Statement rows = database.prepare("SELECT name FROM shop");
    while (rows.step()) {
    }
  });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("list.db"));
}

TEST_F(SqliteTest, ACopyIsWholeAndReplacesNothing) {
  Database database = open();
  add(database, "one");
  const std::string copy = folder_ / "copy.db";
  database.copy_to(copy);
  Database copied(copy, kSchema, DatabaseMode::read);
  EXPECT_EQ(count(copied), 1);
  EXPECT_EQ(copied.integrity_problem(), "");
  EXPECT_EQ(error_of([&] { database.copy_to(copy); }).kind(), Kind::exists);
}

TEST_F(SqliteTest, AWriterThatWaitsTooLongIsTold) {
  Database database = open();
  Transaction transaction(database);
  Database second = open();
  const Error error = error_of([&] { Transaction blocked(second); });
  EXPECT_EQ(error.kind(), Kind::busy);
  EXPECT_EQ(error.exit_status(), 13);
}

TEST_F(SqliteTest, AReaderCannotWrite) {
  Database database = open(DatabaseMode::read);
  EXPECT_EQ(error_of([&] { add(database, "one"); }).kind(), Kind::io);
}

TEST(SqliteVersionTest, TheLibraryTellsItsVersion) {
  EXPECT_THAT(sqlite_version().value_or(""), MatchesRegex("3\\.[0-9.]+"));
}

}  // namespace
}  // namespace hsmith
