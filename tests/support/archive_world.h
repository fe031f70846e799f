// An archive with its seal key, agents, and people whose keys go into it; in either store.
#pragma once

#include <string>
#include <vector>

#include "src/recovery/archiving.h"
#include "src/recovery/store_place.h"
#include "tests/support/certificates_fixture.h"

namespace hsmith::tests {

class ArchiveWorld {
 public:
  explicit ArchiveWorld(std::size_t agents = 2, std::size_t per_key = 2);

  // Makes an archive there, with its settings.
  recovery::Archive make(const recovery::StorePlace& place) const;
  recovery::Archive open(const recovery::StorePlace& place, recovery::StoreMode mode) const;

  // Somebody's key, P-256 where nothing else is asked for, and its certificate.
  recovery::Candidate person(const std::string& name) const;
  recovery::Candidate person(const std::string& name, std::shared_ptr<MemoryKey> key) const;
  // Archives the keys in one change.
  void add(recovery::Archive& archive, const std::vector<recovery::Candidate>& people) const;

  std::vector<recovery::UsableAgent> usable() const;
  const Identity& ca() const { return ca_; }
  const Identity& seal() const { return seal_; }
  const std::vector<Identity>& agents() const { return agents_; }

 private:
  Identity ca_;
  Identity seal_;
  std::vector<Identity> agents_;
  std::size_t per_key_;
};

}  // namespace hsmith::tests
