#include "tests/support/archive_world.h"

#include "src/x509/certificate.h"

namespace hsmith::tests {

ArchiveWorld::ArchiveWorld(std::size_t agents, std::size_t per_key)
    : ca_(root()), seal_(issue({.subject = "CN=The Seal"}, &ca_)), per_key_(per_key) {
  for (std::size_t i = 0; i < agents; ++i) {
    const auto key = MemoryKey::generate("rsa:2048");
    CertificateSpec spec;
    spec.subject = "CN=Agent " + std::to_string(i + 1);
    spec.key_usage = "keyEncipherment";
    agents_.push_back({key, certify(spec, key, &ca_)});
  }
}

recovery::Archive ArchiveWorld::make(const recovery::StorePlace& place) const {
  recovery::create_store(place);
  recovery::Archive archive;
  archive.store = recovery::open_store(place, recovery::StoreMode::change);
  archive.seal_certificate = ossl::share(seal_.certificate.get());
  recovery::ArchiveChange change;
  recovery::Settings settings;
  settings.id = "00112233445566778899aabbccddeeff";
  settings.kras_per_key = static_cast<int>(per_key_);
  change.objects.push_back(x509::certificate_der(ca_.certificate.get()));
  settings.anchors.push_back(recovery::sha256_of(change.objects.back()));
  for (const Identity& agent : agents_) {
    change.objects.push_back(x509::certificate_der(agent.certificate.get()));
    settings.agents.push_back(
        {recovery::sha256_of(change.objects.back()), {recovery::kOaepSha256}});
  }
  change.settings = settings;
  const auto transaction = archive.store->change();
  recovery::commit_change(archive, *transaction, std::move(change), seal_.key, kNow);
  return archive;
}

recovery::Archive ArchiveWorld::open(const recovery::StorePlace& place,
                                     recovery::StoreMode mode) const {
  return recovery::open_archive(recovery::open_store(place, mode), seal_.certificate.get());
}

recovery::Candidate ArchiveWorld::person(const std::string& name) const {
  return person(name, MemoryKey::generate("ec:p256"));
}

recovery::Candidate ArchiveWorld::person(const std::string& name,
                                         std::shared_ptr<MemoryKey> key) const {
  CertificateSpec spec;
  spec.subject = "CN=" + name + ",O=Example Ltd,C=HK";
  spec.names = {"email:" + name + "@example.com"};
  spec.key_usage = "keyAgreement";
  recovery::Candidate candidate;
  candidate.certificate = certify(spec, key, &ca_);
  candidate.key = ossl::share(key->private_key());
  candidate.chain.push_back(ossl::share(ca_.certificate.get()));
  return candidate;
}

void ArchiveWorld::add(recovery::Archive& archive,
                       const std::vector<recovery::Candidate>& people) const {
  recovery::archive_keys(archive, people, usable(), seal_.key, kNow);
}

std::vector<recovery::UsableAgent> ArchiveWorld::usable() const {
  std::vector<recovery::UsableAgent> usable;
  for (const Identity& agent : agents_) {
    usable.push_back({ossl::share(agent.certificate.get()), recovery::kOaepSha256,
                      recovery::sha256_of(x509::certificate_der(agent.certificate.get()))});
  }
  return usable;
}

}  // namespace hsmith::tests
