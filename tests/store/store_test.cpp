// What every store does alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/recovery/store_copy.h"
#include "src/recovery/store_sqlite.h"
#include "tests/store/database.h"
#include "tests/support/archive_world.h"
#include "tests/support/error_of.h"

namespace hsmith::recovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::error_of;

Bytes hash(unsigned char first) { return Bytes(32, first); }

class StoreTest : public testing::TestWithParam<std::string> {
 protected:
  StoreTest() : at_(GetParam()) {
    create_store(at_.place());
    store_ = open(StoreMode::change);
  }

  std::unique_ptr<Store> open(StoreMode mode) const { return open_store(at_.place(), mode); }

  static KeyRow row(std::int64_t id) {
    return {id,    1,          hash(1),   Bytes{0, 0xff, '\'', '\\', 7},
            "own", 1234567890, {hash(2)}, {hash(3), hash(4)}};
  }
  // A seal, the objects and a key: all that rows refer to.
  static void add(StoreChange& change, std::int64_t id, const std::vector<Term>& terms) {
    for (unsigned char i = 1; i <= 4; ++i) change.add_object(hash(i), Bytes{i});
    if (id == 1) change.add_seal({1, Bytes{'{', '}'}, Bytes{9}});
    change.add_key(row(id), terms);
  }
  void add(std::int64_t id, const std::vector<Term>& terms) {
    const auto change = store_->change();
    add(*change, id, terms);
    change->commit();
  }

  tests::Place at_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, WhatWasAddedComesBackAsItWas) {
  add(1, {{"cn", "alice \"x\" \\ {y},'z' ü"}, {"email", "a@example.com"}});
  const auto key = store_->key(1);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->blob, row(1).blob);
  EXPECT_EQ(key->agents, row(1).agents);
  EXPECT_EQ(key->chain, row(1).chain);
  EXPECT_EQ(key->time, row(1).time);
  EXPECT_EQ(key->origin, "own");
  EXPECT_EQ(store_->object(hash(3)), Bytes{3});
  EXPECT_EQ(store_->last_seal()->content, (Bytes{'{', '}'}));
  EXPECT_EQ(store_->seal(1)->signature, Bytes{9});
  EXPECT_EQ(store_->count_keys(), 1);
  auto terms = store_->terms(1);
  std::sort(terms.begin(), terms.end());
  EXPECT_THAT(terms,
              ElementsAre(Term{"cn", "alice \"x\" \\ {y},'z' ü"}, Term{"email", "a@example.com"}));
  EXPECT_EQ(store_->integrity_problem(), "");
}

TEST_P(StoreTest, ADamagedCertificateIsMendedWhenItComesAgain) {
  add(1, {});
  const auto database = at_.database();
  database->execute("UPDATE object SET der = " + database->literal(Bytes{7}) +
                    " WHERE sha256 = " + database->literal(hash(3)));
  const auto change = store_->change();
  for (unsigned char i = 1; i <= 4; ++i) change->add_object(hash(i), Bytes{i});
  change->commit();
  EXPECT_EQ(store_->object(hash(3)), Bytes{3});
  EXPECT_EQ(store_->object(hash(4)), Bytes{4});
}

TEST_P(StoreTest, ARemovedKeyTakesItsTermsAlongAndItsNumberIsFreeAgain) {
  add(1, {{"cn", "alice"}});
  const auto change = store_->change();
  change->remove_key(1);
  change->add_key(row(1), {{"cn", "alicia"}});
  change->commit();
  EXPECT_THAT(store_->find("cn", "alice", 10), ElementsAre());
  EXPECT_THAT(store_->find("cn", "alicia", 10), ElementsAre(1));
  EXPECT_EQ(store_->key(1), row(1));
  EXPECT_EQ(store_->integrity_problem(), "");
}

TEST_P(StoreTest, AnImpossibleCursorIsGoneOnFrom) {
  for (const char* value : {"9223372036854775807", "-5"}) {
    at_.database()->execute(std::string("UPDATE cursor SET value = ") + value);
    const auto change = store_->change();
    const std::int64_t taken = change->take_cursor(3);
    EXPECT_GE(taken, 0);
    EXPECT_EQ(change->take_cursor(3), taken + 3);
    change->commit();
  }
}

TEST_P(StoreTest, WhatIsNotThereIsNotFound) {
  EXPECT_FALSE(store_->key(1));
  EXPECT_FALSE(store_->last_seal());
  EXPECT_FALSE(store_->seal(7));
  EXPECT_FALSE(store_->object(hash(9)));
  EXPECT_THAT(store_->find("cn", "alice", 10), ElementsAre());
  EXPECT_THAT(store_->find("cn", std::string_view("a\0b", 3), 10), ElementsAre());
}

TEST_P(StoreTest, KeysAreFoundByOneKindOrByAny) {
  add(1, {{"cn", "alice"}, {"user", "alice"}});
  add(2, {{"email", "alice"}, {"cn", "bob"}});
  EXPECT_THAT(store_->find("", "alice", 10), ElementsAre(1, 2));
  EXPECT_THAT(store_->find("cn", "alice", 10), ElementsAre(1));
  EXPECT_THAT(store_->find("", "alice", 1), ElementsAre(1));
  EXPECT_THAT(store_->find("", "%", 10), ElementsAre());
}

TEST_P(StoreTest, AKeyIsFoundByAValueThatIsLongerThanAnIndexTakes) {
  const std::string start(4000, 'x');
  add(1, {{"cn", start + "1"}});
  add(2, {{"cn", start + "2"}});
  EXPECT_THAT(store_->find("cn", start + "2", 10), ElementsAre(2));
}

TEST_P(StoreTest, AChangeThatWasNotCommittedLeavesNothing) {
  {
    const auto change = store_->change();
    change->set_cursor(77);
    add(*change, 1, {{"cn", "alice"}});
  }
  EXPECT_FALSE(store_->key(1));
  EXPECT_FALSE(store_->object(hash(1)));
  EXPECT_EQ(store_->cursor(), 0);
}

TEST_P(StoreTest, TheCursorAdvancesWithTheChange) {
  const auto change = store_->change();
  change->set_cursor(5);
  EXPECT_EQ(change->take_cursor(2), 5);
  EXPECT_EQ(change->take_cursor(2), 7);
  change->commit();
  EXPECT_EQ(open(StoreMode::read)->cursor(), 9);
}

TEST_P(StoreTest, AReaderSeesTheArchiveAsItWasAtTheFirstLook) {
  add(1, {{"cn", "alice"}});
  const auto reader = open(StoreMode::read);
  EXPECT_EQ(reader->count_keys(), 1);
  add(2, {{"cn", "bob"}});
  EXPECT_EQ(reader->count_keys(), 1);
  EXPECT_FALSE(reader->key(2));
  EXPECT_EQ(open(StoreMode::read)->count_keys(), 2);
}

TEST_P(StoreTest, TwoChangesDoNotRunAtOnce) {
  const auto other = open(StoreMode::change);
  const auto change = store_->change();
  const Error error = error_of([&] { other->change(); });
  EXPECT_EQ(error.kind(), Kind::busy) << error.what();
  EXPECT_EQ(error.exit_status(), 13);
  EXPECT_THAT(error.hint(), HasSubstr("again"));
}

TEST_P(StoreTest, AKeyGetsAnotherBlobAndOtherAgents) {
  add(1, {{"cn", "alice"}});
  const auto change = store_->change();
  change->add_object(hash(5), Bytes{5});
  change->add_seal({2, Bytes{'{', '}'}, Bytes{9}});
  KeyRow other = row(1);
  other.seal = 2;
  other.blob = Bytes{1, 2, 3};
  other.agents = {hash(5)};
  change->replace_key(other);
  change->commit();
  const auto key = store_->key(1);
  EXPECT_EQ(key->seal, 2);
  EXPECT_EQ(key->blob, other.blob);
  EXPECT_EQ(key->agents, other.agents);
  EXPECT_THAT(store_->find("cn", "alice", 10), ElementsAre(1));
}

TEST_P(StoreTest, ManyRowsComeInOrderAndWhole) {
  {
    const auto change = store_->change();
    for (std::int64_t id = 1; id <= 450; ++id)
      add(*change, id, {{"cn", "p" + std::to_string(id)}, {"user", "all"}});
    change->commit();
  }
  std::int64_t next = 1;
  store_->each_key_with_terms([&](const KeyRow& key, const std::vector<Term>& terms) {
    EXPECT_EQ(key.id, next++);
    EXPECT_EQ(key.agents.size(), 2U);
    EXPECT_EQ(terms.size(), 2U);
  });
  EXPECT_EQ(next, 451);
  std::size_t objects = 0;
  store_->each_object([&](ByteView, ByteView) { ++objects; });
  EXPECT_EQ(objects, 4U);
  EXPECT_EQ(store_->find("user", "all", 1000).size(), 450U);
}

TEST_P(StoreTest, ARowThatRefersToNothingIsRefused) {
  const auto change = store_->change();
  const Error error = error_of([&] {
    change->add_key(row(1), {});
    change->commit();
  });
  EXPECT_NE(error.kind(), Kind::internal) << error.what();
}

TEST_P(StoreTest, AHostileRowIsRefusedAndNotReadWhole) {
  add(1, {{"cn", "alice"}});
  const auto database = at_.database();
  if (GetParam() == "postgresql")
    database->execute("ALTER TABLE archived_key DROP CONSTRAINT archived_key_blob_check");
  database->execute("UPDATE archived_key SET blob = " + database->literal(Bytes(200'000, 'x')));
  const Error error = error_of([&] { store_->key(1); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_THAT(error.what(), HasSubstr("longer than 65536 bytes"));
}

TEST_P(StoreTest, ARowOfNoKeyIsADamage) {
  add(1, {{"cn", "alice"}});
  at_.database()->execute("UPDATE term SET key = 17");
  EXPECT_THAT(store_->integrity_problem(), HasSubstr("refers to one that is not there"));
}

TEST_P(StoreTest, ACopyInEitherStoreHasEveryRow) {
  add(1, {{"cn", "alice"}});
  add(2, {{"cn", "bob"}});
  for (const std::string& to : tests::Place::stores()) {
    const tests::Place other(to);
    create_store(other.place());
    const auto copy = open_store(other.place(), StoreMode::change);
    const auto change = copy->change();
    copy_archive(*store_, *change);
    change->commit();
    EXPECT_EQ(copy->count_keys(), 2);
    EXPECT_EQ(copy->key(2)->blob, row(2).blob);
    EXPECT_EQ(copy->key(2)->agents, row(2).agents);
    EXPECT_THAT(copy->find("cn", "bob", 9), ElementsAre(2));
    EXPECT_EQ(copy->last_seal()->content, store_->last_seal()->content);
    EXPECT_EQ(copy->object(hash(3)), Bytes{3});
  }
}

TEST_P(StoreTest, TablesOfAnotherVersionAreRefused) {
  const auto database = at_.database();
  if (GetParam() == "postgresql") {
    database->execute("COMMENT ON SCHEMA hsmith IS 'hsmith key archive 2'");
  } else {
    database->execute("PRAGMA user_version = 2");
  }
  EXPECT_EQ(error_of([&] { open(StoreMode::read); }).kind(), Kind::malformed);
}

INSTANTIATE_TEST_SUITE_P(Both, StoreTest, testing::ValuesIn(tests::Place::stores()),
                         [](const auto& test) { return test.param; });

TEST(PostgresqlTest, AUrlWithAPasswordIsRefusedInEveryForm) {
  for (const char* url : {"postgresql://me:secret@localhost/keys", "postgres://me:secret@/keys",
                          "postgresql://localhost/keys?password=secret",
                          "postgresql://localhost/keys?pass%77ord=secret",
                          "postgresql://localhost/keys?sslpassword=secret"}) {
    const Error error = error_of([&] { open_store({{}, url}, StoreMode::read); });
    EXPECT_EQ(error.kind(), Kind::refused) << url;
    EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
  }
}

TEST(PostgresqlTest, AServerThatIsNotThereIsNamed) {
  const Error error = error_of([] {
    open_store({{}, "postgresql://me@%2Fnosuch/keys"}, StoreMode::read);
  });
  EXPECT_EQ(error.exit_status(), 12);
  EXPECT_THAT(error.what(), HasSubstr("connect to the archive"));
  EXPECT_THAT(error.hint(), HasSubstr("pass file"));
}

}  // namespace
}  // namespace hsmith::recovery
