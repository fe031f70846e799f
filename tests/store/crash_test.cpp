// kill -9 and lost connections: no acknowledged key is lost, no row is half there.
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "src/base/error.h"
#include "src/x509/certificate.h"
#include "tests/store/cutting_proxy.h"
#include "tests/store/database.h"
#include "tests/support/archive_world.h"
#include "tests/support/error_of.h"

namespace hsmith::recovery {
namespace {

using testing::HasSubstr;

class CrashTest : public testing::TestWithParam<std::string> {
 protected:
  CrashTest() : at_(GetParam()) { world_.make(at_.place()); }

  void expect_good(std::size_t keys) const {
    Archive archive = world_.open(at_.place(), StoreMode::read);
    ArchiveCounts counts;
    EXPECT_THAT(verify_archive(archive, counts), testing::ElementsAre());
    EXPECT_EQ(counts.keys, keys);
  }
  std::size_t keys() const {
    return static_cast<std::size_t>(world_.open(at_.place(), StoreMode::read).store->count_keys());
  }

  tests::ArchiveWorld world_;
  tests::Place at_;
};

// A process that archives one key after the other, and says so when each is acknowledged.
class Child {
 public:
  Child(const tests::ArchiveWorld& world, const recovery::StorePlace& place,
        const std::string& who) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      work(world, place, who, ends[1]);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  ~Child() { close(output_); }

  // The names of what was acknowledged until it is killed, after so many milliseconds.
  std::size_t kill_after(int milliseconds) const {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    kill(pid_, SIGKILL);
    return wait();
  }
  // How many were acknowledged when it ended.
  std::size_t wait() const {
    std::size_t acknowledged = 0;
    char one = 0;
    while (read(output_, &one, 1) == 1) ++acknowledged;
    waitpid(pid_, nullptr, 0);
    return acknowledged;
  }

 private:
  [[noreturn]] static void work(const tests::ArchiveWorld& world, const recovery::StorePlace& place,
                                const std::string& who, int output) {
    try {
      for (int i = 0; i < 15; ++i) {
        Archive archive = world.open(place, StoreMode::change);
        std::vector<Candidate> people;
        people.push_back(world.person(who + std::to_string(i)));
        world.add(archive, people);
        if (write(output, "+", 1) != 1) _exit(1);
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
    _exit(0);
  }

  pid_t pid_ = 0;
  int output_ = -1;
};

TEST_P(CrashTest, WhatWasAcknowledgedIsThereAfterKillNine) {
  std::size_t before = 0;
  for (int round = 0; round < 8; ++round) {
    const std::size_t acknowledged =
        Child(world_, at_.place(), "r" + std::to_string(round) + "_").kill_after(7 + 9 * round);
    // The server may still be at what the dead process sent last.
    while (GetParam() == "postgresql" &&
           at_.database()->ask("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                               "current_database() AND pid <> pg_backend_pid()") != "0")
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // One more may be there: committed, but killed before it said so.
    const std::size_t now = keys();
    EXPECT_GE(now, before + acknowledged);
    EXPECT_LE(now, before + acknowledged + 1);
    expect_good(now);
    before = now;
  }
}

TEST_P(CrashTest, ProcessesThatArchiveAtOnceTakeTheAgentsInTurn) {
  const tests::ArchiveWorld world(3, 1);
  const tests::Place at(GetParam());
  world.make(at.place());
  {
    std::vector<std::unique_ptr<Child>> children;
    for (const char* who : {"a", "b", "c", "d"})
      children.push_back(std::make_unique<Child>(world, at.place(), who));
    for (const auto& child : children) EXPECT_EQ(child->wait(), 15U);
  }
  Archive archive = world.open(at.place(), StoreMode::read);
  std::map<Bytes, int> keys;
  archive.store->each_key([&](const KeyRow& key) {
    for (const Bytes& agent : key.agents) ++keys[agent];
  });
  for (const auto& [agent, count] : keys) EXPECT_EQ(count, 20);
  EXPECT_EQ(keys.size(), 3U);
  ArchiveCounts counts;
  EXPECT_THAT(verify_archive(archive, counts), testing::ElementsAre());
}

INSTANTIATE_TEST_SUITE_P(Both, CrashTest, testing::ValuesIn(tests::Place::stores()),
                         [](const auto& test) { return test.param; });

class CutTest : public CrashTest {};

// The client sends COMMIT. What the server has not got is not there; what it has got is, and is not
// added twice.
TEST_P(CutTest, AConnectionThatIsCutAtCommitLeavesAllOrNothing) {
  for (const bool arrives : {false, true}) {
    std::vector<Candidate> people;
    people.push_back(world_.person(arrives ? "arrives" : "lost"));
    const std::size_t before = keys();
    {
      const tests::CuttingProxy proxy(at_.place().url, "COMMIT", arrives);
      Archive archive = world_.open({{}, proxy.url()}, StoreMode::change);
      const Error error = tests::error_of([&] { world_.add(archive, people); });
      EXPECT_EQ(error.exit_status(), 12) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("there as a whole, or not at all"));
      EXPECT_THAT(error.hint(), HasSubstr("not added twice"));
    }
    // The server may be in the middle of it.
    for (int i = 0; i < 100 && arrives && keys() == before; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    expect_good(before + (arrives ? 1 : 0));
    Archive again = world_.open(at_.place(), StoreMode::change);
    world_.add(again, people);
    expect_good(before + 1);
  }
}

TEST_P(CutTest, AConnectionThatIsCutBeforeLeavesNothing) {
  std::vector<Candidate> people;
  people.push_back(world_.person("alice"));
  const tests::CuttingProxy proxy(at_.place().url, "INSERT INTO hsmith.archived_key", true);
  Archive archive = world_.open({{}, proxy.url()}, StoreMode::change);
  const Error error = tests::error_of([&] { world_.add(archive, people); });
  EXPECT_EQ(error.exit_status(), 12) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("nothing was changed"));
  expect_good(0);
}

TEST_P(CutTest, AServerThatRefusesARowChangesNothing) {
  const auto database = at_.database();
  database->execute("CREATE RULE swallow AS ON INSERT TO hsmith.term DO INSTEAD NOTHING");
  Archive archive = world_.open(at_.place(), StoreMode::change);
  std::vector<Candidate> people;
  people.push_back(world_.person("alice"));
  const Error error = tests::error_of([&] { world_.add(archive, people); });
  EXPECT_THAT(error.what(), HasSubstr("the server took 0"));
  EXPECT_EQ(keys(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Postgresql, CutTest, testing::Values("postgresql"));

}  // namespace
}  // namespace hsmith::recovery
