// Finding keys in an archive.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/archive_access.h"
#include "cli/arguments.h"

namespace hsmith::cli {

struct SearchOptions {
  std::string search;
  std::string by;  // "" = any
};
void add_search_options(Arguments& command, SearchOptions& options);

// A key that was found; its row is what was sealed.
struct Found {
  recovery::KeyRow row;
  ossl::Certificate certificate;
};

// All that match, by ascending number: a name in any case, hex with or without spaces and colons,
// DOMAIN\user. Throws refused above 100,000: never some of them; not_found with those who have the
// user's name, and whose certificates do not say that they are of the domain. A row that was edited
// keeps no other from being found; what is wrong with it goes into `damaged`, and is thrown where
// it is all that matches.
std::vector<Found> search_archive(recovery::Archive& archive, const SearchOptions& options,
                                  std::vector<Error>& damaged);

// Exactly one, or not_found / ambiguous with the candidates; mismatch where a row that was edited
// matches: it could be the one.
Found find_one_key(recovery::Archive& archive, const SearchOptions& options);

// Names the agents of these keys whose certificates the archive lost.
void warn_of_missing_agents(Context& context, recovery::Archive& archive,
                            const std::vector<Found>& found);

// Names the issuers in these keys' chains whose certificates the archive lost.
void warn_of_missing_issuers(Context& context, recovery::Archive& archive,
                             const std::vector<Found>& found);

Json found_json(recovery::Archive& archive, const Found& found);
std::string found_line(const Found& found);

}  // namespace hsmith::cli
