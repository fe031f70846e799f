#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ca/certificate.h"
#include "src/ca/check.h"
#include "src/ca/crl.h"
#include "src/ca/exchange.h"
#include "src/ca/issue.h"
#include "src/ca/renew.h"
#include "src/ca/revoke.h"
#include "src/ca/store.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/path.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::ca {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::error_of;
using tests::MemoryKey;
using tests::TemporaryFolder;

constexpr std::time_t kDay = 86400;

// An authority in memory, its file in a folder of its own, and a client's key.
class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() {
    AuthorityWishes wishes;
    wishes.not_before = now_ - kDay;
    wishes.not_after = now_ + 300 * kDay;
    root_ = make_root(subject_.get(), key_, wishes);
    create_store(file_, {.name = "lab", .token_label = "t", .token_serial = "1"}, root_.get());
    store_.emplace(open_store_file(file_, DatabaseMode::change));
  }

  Content client() const {
    Content content;
    content.serial = random_serial();
    content.subject = name_.get();
    content.key = client_key_->public_key();
    content.not_before = now_ - 60;
    content.not_after = now_ + 10 * kDay;
    content.wishes.key_usage = {"digitalSignature"};
    content.wishes.extended_key_usage = {"clientAuth"};
    return content;
  }

  Bytes issue(const char* profile = "client") {
    const Content content = client();
    const auto made = make_certificate(content, {root_.get(), key_});
    const std::vector<Authority> all = read_authorities(*store_);
    add_issued(*store_, issued_from(made.get(), all.front(), {.name = profile}, now_));
    return content.serial;
  }

  // Of nine days, for this request.
  void issue_for(const std::string& request) {
    Content content = client();
    content.not_after = now_ + 9 * kDay;
    const auto made = make_certificate(content, {root_.get(), key_});
    Issued issued =
        issued_from(made.get(), read_authorities(*store_).front(), {.name = "client"}, now_);
    issued.request = request;
    add_issued(*store_, issued);
  }

  std::time_t now_ = std::time(nullptr);
  TemporaryFolder folder_;
  std::string file_ = folder_ / "ca/lab.db";
  ossl::Name subject_ = x509::parse_name("CN=Lab CA,O=Example Ltd");
  ossl::Name name_ = x509::parse_name("CN=client");
  std::shared_ptr<MemoryKey> key_ = MemoryKey::generate("ec:p256");
  std::shared_ptr<MemoryKey> client_key_ = MemoryKey::generate("ec:p256");
  ossl::Certificate root_;
  std::optional<Database> store_;
};

TEST_F(AuthorityTest, ARequestIsRenewedInTheLastThirdOfItsCertificatesLifeWhereThatIsAskedFor) {
  issue_for("0a");
  const auto refused = [&](int days, LastThird last_third) {
    try {
      refuse_second(*store_, "0a", now_ + days * kDay, last_third);
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::exists);
      return true;
    }
  };
  EXPECT_TRUE(refused(5, LastThird::may_be_renewed));
  EXPECT_FALSE(refused(7, LastThird::may_be_renewed));
  EXPECT_TRUE(refused(7, LastThird::counts));
  EXPECT_FALSE(refused(10, LastThird::counts));
}

TEST_F(AuthorityTest, SignsWhatWasLintedOnce) {
  const int before = key_->signatures;
  const auto made = make_certificate(client(), {root_.get(), key_});
  EXPECT_EQ(key_->signatures, before + 1);
  EXPECT_EQ(x509::certificate_facts(made.get()).issuer, "CN=Lab CA,O=Example Ltd");
}

TEST_F(AuthorityTest, DoesNotUseItsKeyForWhatTheLinterRefuses) {
  const int before = key_->signatures;
  const auto refusal = [&](const std::function<void(Content&)>& spoil) {
    Content content = client();
    spoil(content);
    const Error error = error_of([&] { make_certificate(content, {root_.get(), key_}); });
    EXPECT_EQ(error.kind(), Kind::refused);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal([&](Content& c) { c.not_after = now_ + 301 * kDay; }),
              HasSubstr("ends after the issuer's"));
  EXPECT_THAT(refusal([](Content& c) { c.not_after = c.not_before; }),
              HasSubstr("ends before it begins"));
  EXPECT_THAT(refusal([](Content& c) { c.wishes.key_usage = {"keyEncipherment"}; }),
              HasSubstr("nothing for a key of its type"));
  EXPECT_THAT(refusal([](Content& c) {
                c.wishes.key_usage = {"digitalSignature", "keyCertSign"};
              }),
              HasSubstr("only an authority may have"));
  EXPECT_THAT(refusal([](Content& c) { c.wishes.key_usage = {}; }),
              HasSubstr("there is no key usage"));
  EXPECT_THAT(refusal([](Content& c) { c.wishes.extended_key_usage = {"serverAuth"}; }),
              HasSubstr("a server needs a domain name"));
  EXPECT_THAT(refusal([](Content& c) { c.serial = {0x17}; }), HasSubstr("serial number"));
  EXPECT_EQ(key_->signatures, before);
}

TEST_F(AuthorityTest, GivesOutNothingThatItsTokenDidNotSignRight) {
  const auto other = MemoryKey::generate("ec:p256");
  const Error error = error_of([&] { make_certificate(client(), {root_.get(), other}); });
  EXPECT_EQ(error.kind(), Kind::mismatch);
}

TEST_F(AuthorityTest, KeepsWhatItIssued) {
  const Bytes serial = issue();
  const auto issued = issued_with_serial(*store_, serial);
  ASSERT_TRUE(issued);
  EXPECT_EQ(issued->subject, "CN=client");
  EXPECT_EQ(issued->reason, "");
  EXPECT_EQ(check_store(*store_), (StoreCounts{1, 1, 0}));
  EXPECT_FALSE(issued_with_serial(*store_, random_serial()));
}

TEST_F(AuthorityTest, ListsWhatIsRevokedNowAndSince) {
  const Bytes held = issue();
  const Bytes gone = issue();
  const Bytes brief = issue();
  add_revocation(*store_, held, "certificateHold", now_);
  const std::int64_t base = last_event(*store_);
  EXPECT_EQ(revoked(*store_).size(), 1u);
  EXPECT_THAT(revoked(*store_, base), IsEmpty());
  add_revocation(*store_, held, "removeFromCRL", now_);
  add_revocation(*store_, gone, "superseded", now_);
  add_revocation(*store_, brief, "certificateHold", now_);
  add_revocation(*store_, brief, "removeFromCRL", now_);
  ASSERT_EQ(revoked(*store_).size(), 1u);
  EXPECT_EQ(revoked(*store_).front().serial, gone);
  std::vector<std::string> since;
  for (const Revoked& one : revoked(*store_, base)) since.push_back(one.reason);
  EXPECT_THAT(since, testing::UnorderedElementsAre("removeFromCRL", "superseded"));
  EXPECT_EQ(error_of([&] { check_revocation(*store_, gone, "keyCompromise"); }).kind(),
            Kind::exists);
}

TEST_F(AuthorityTest, NumbersItsListsUpwards) {
  const Signer signer{root_.get(), key_};
  std::int64_t last = 0;
  for (const CrlKind kind : {CrlKind::complete, CrlKind::delta, CrlKind::complete}) {
    const CrlPlan plan = plan_crl(*store_, kind, 1, now_, now_ + kDay);
    EXPECT_GT(plan.number, last);
    if (kind == CrlKind::delta) {
      EXPECT_EQ(plan.base, last);
    }
    last = plan.number;
    record_crl(*store_, plan);
    EXPECT_FALSE(sign_crl(plan, signer).empty());
  }
}

TEST_F(AuthorityTest, CertifiesItsNewKeyWithTheOldOneAndTheOtherWayRound) {
  const auto next = MemoryKey::generate("rsa:2048");
  const auto fresh = renew_root(root_.get(), next, 0, now_);
  const auto new_with_old = cross_certificate(fresh.get(), {root_.get(), key_});
  const auto old_with_new = cross_certificate(root_.get(), {fresh.get(), next});
  const auto leaf = make_certificate(client(), {fresh.get(), next});
  const auto old_leaf = make_certificate(client(), {root_.get(), key_});
  x509::PathOptions options;
  options.time = now_;
  options.strict = true;
  EXPECT_TRUE(x509::verify_path(leaf.get(), {&new_with_old, 1}, {&root_, 1}, options).ok);
  EXPECT_TRUE(x509::verify_path(old_leaf.get(), {&old_with_new, 1}, {&fresh, 1}, options).ok);
}

TEST_F(AuthorityTest, TakesKeysForItsTwoNewestExchangeCertificatesAndAWeekBeyondTheirEnd) {
  const auto problem = [&](const Bytes& serial, std::time_t at) {
    return exchange_problem(*store_, issued_with_serial(*store_, serial).value(), at);
  };
  const std::time_t end = now_ + 10 * kDay;
  const Bytes first = issue(kExchangeProfile);
  EXPECT_EQ(problem(first, now_), "");
  EXPECT_EQ(problem(first, end + kExchangeGrace - 60), "");
  EXPECT_THAT(problem(first, end + kExchangeGrace + 60), HasSubstr("more than 7 days ago"));
  const Bytes second = issue(kExchangeProfile);
  issue();
  EXPECT_EQ(problem(first, now_), "");
  const Bytes third = issue(kExchangeProfile);
  EXPECT_THAT(problem(first, now_), HasSubstr("two successors"));
  EXPECT_EQ(problem(second, now_), "");
  add_revocation(*store_, third, "superseded", now_);
  EXPECT_THAT(problem(third, now_), HasSubstr("revoked"));
  const auto found = find_exchange(*store_, [&](X509* certificate) {
    return x509::certificate_facts(certificate).serial == hex(second);
  });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->serial, second);
}

TEST(Reasons, AreThoseOfTheStandard) {
  EXPECT_EQ(parse_reason("KEYcompromise"), "keyCompromise");
  EXPECT_EQ(reason_code("removeFromCRL"), 8);
  EXPECT_THAT(error_of([] { parse_reason("keyCompromized"); }).hint(), HasSubstr("keyCompromise"));
}

TEST(SerialNumbers, AreReadAsTheyArePrinted) {
  EXPECT_EQ(parse_serial("0xAB:CD"), (Bytes{0xab, 0xcd}));
  EXPECT_EQ(parse_serial("00abcd"), (Bytes{0xab, 0xcd}));
  EXPECT_EQ(error_of([] { parse_serial("5g"); }).kind(), Kind::usage);
  EXPECT_EQ(error_of([] { parse_serial(std::string(42, 'a')); }).kind(), Kind::usage);
  EXPECT_EQ(random_serial().size(), 16u);
  EXPECT_NE(random_serial(), random_serial());
}

TEST(AuthorityNames, AreReadFromTheirFilesNames) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "ca");
  for (const char* name : {"lab", "A B", "größe", "a_b"})
    folder.write("ca/" + store_path("", name).filename().string(), "");
  folder.write("ca/lab.db-wal", "");
  folder.write("ca/_zz.db", "");
  EXPECT_THAT(authority_names(folder.path()), ElementsAre("A B", "a_b", "größe", "lab"));
}

}  // namespace
}  // namespace hsmith::ca
