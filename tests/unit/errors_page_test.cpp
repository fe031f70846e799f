// docs/errors.md is for users what the table in src/base/error.cpp is for the program.
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "src/base/error.h"

namespace hsmith {
namespace {

struct Row {
  std::string first;   // without its backquotes
  std::string second;  // the exit status of a kind
  std::vector<std::string> rest;
};

// The rows of all tables of the page, headings and rulers left out.
std::vector<Row> rows_of_the_page() {
  const auto repository = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream page(repository / "docs/errors.md");
  std::vector<Row> rows;
  static const std::regex kCell(R"(\| *([^|]*[^| ]) *(?=\|))");
  for (std::string line; std::getline(page, line);) {
    std::vector<std::string> cells;
    for (std::sregex_iterator cell(line.begin(), line.end(), kCell), end; cell != end; ++cell) {
      cells.push_back((*cell)[1]);
    }
    if (cells.size() < 2 || cells[0] == "---" || cells[0] == "kind" || cells[0] == "exit") continue;
    std::erase(cells[0], '`');
    rows.push_back({cells[0], cells[1], {cells.begin() + 2, cells.end()}});
  }
  return rows;
}

TEST(ErrorsPage, ListsExactlyTheKindsWithTheirExitStatuses) {
  std::vector<std::string> listed;
  for (const Row& row : rows_of_the_page()) {
    if (!row.rest.empty()) listed.push_back(row.first + " " + row.second);
  }
  std::vector<std::string> known;
  for (const KindInfo& kind : kinds()) {
    known.push_back(fmt::format("{} {}", kind.name, kind.exit_status));
  }
  EXPECT_THAT(listed, testing::ElementsAreArray(known));
}

TEST(Envelope, KnowsExactlyTheKindsOfErrors) {
  const auto repository = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(repository / "docs/schema/envelope.json");
  const auto schema = nlohmann::json::parse(file);
  std::vector<std::string> known;
  for (const KindInfo& kind : kinds()) known.emplace_back(kind.name);
  EXPECT_EQ(
      schema["properties"]["error"]["properties"]["kind"]["enum"].get<std::vector<std::string>>(),
      known);
}

TEST(ErrorsPage, GivesEachKindACauseAndARemedy) {
  for (const Row& row : rows_of_the_page()) {
    if (row.rest.empty()) continue;
    ASSERT_EQ(row.rest.size(), 2U) << row.first;
    EXPECT_GT(row.rest[0].size(), 20U) << row.first;
    EXPECT_GT(row.rest[1].size(), 5U) << row.first;
  }
}

TEST(ErrorsPage, ExplainsTheExitStatusesThatAreNoErrors) {
  std::set<std::string> explained;
  for (const Row& row : rows_of_the_page()) {
    if (row.rest.empty()) explained.insert(row.first);
  }
  EXPECT_THAT(explained, testing::IsSupersetOf({"0", "3", "130", "143"}));
}

}  // namespace
}  // namespace hsmith
