// Which agents of an archive keys may be encrypted to.
#include "src/recovery/valid_agents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ca/crl.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"
#include "tests/store/database.h"
#include "tests/support/archive_world.h"

namespace hsmith::recovery {
namespace {

using testing::HasSubstr;
using tests::kDay;
using tests::kNow;

// Before kra add refused it, a renewed certificate became an agent beside the old one.
TEST(ValidAgents, AKeyWithTwoCertificatesIsOneAgentAndTheLastOneCounts) {
  const tests::ArchiveWorld world(1, 1);
  const tests::Place at("sqlite");
  Archive archive = world.make(at.place());
  const auto key = tests::MemoryKey::generate("rsa:2048");
  tests::CertificateSpec spec;
  spec.subject = "CN=Agent";
  spec.key_usage = "keyEncipherment";
  spec.extended_key_usage = "1.3.6.1.4.1.311.21.6";
  ArchiveChange change;
  change.settings = archive.settings;
  change.settings->agents.clear();
  for (const int days : {10, 20}) {
    spec.not_after = kNow + days * kDay;
    change.objects.push_back(x509::certificate_der(certify(spec, key, &world.ca()).get()));
    change.settings->agents.push_back({sha256_of(change.objects.back()), {kOaepSha256}});
  }
  const Bytes last = change.settings->agents.back().certificate;
  commit_change(archive, *archive.store->change(), std::move(change), world.seal().key, kNow);

  Trust trust;
  trust.anchors.push_back(ossl::share(world.ca().certificate.get()));
  ca::CrlPlan plan;
  plan.number = 1;
  plan.this_update = kNow - kDay;
  plan.next_update = kNow + kDay;
  trust.crls.push_back(x509::crl_from_der(
      ca::sign_crl(plan, {world.ca().certificate.get(), world.ca().key}), "the list"));
  const ValidAgents valid = valid_agents(archive, trust, kNow);
  ASSERT_EQ(valid.agents.size(), 1u) << valid.others;
  EXPECT_EQ(valid.agents.front().sha256, last);
  EXPECT_THAT(valid.others, HasSubstr("CN=Agent has one key with two certificates"));
}

}  // namespace
}  // namespace hsmith::recovery
