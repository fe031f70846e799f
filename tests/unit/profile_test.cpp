#include "src/x509/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::x509 {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::error_of;
using tests::TemporaryFolder;

TEST(Profile, IsShippedForEachPurpose) {
  for (const char* name : {"server", "client", "email", "codesign", "kra"}) {
    const Profile profile = load_profile(name, "");
    EXPECT_EQ(profile.name, name);
    EXPECT_FALSE(profile.description.empty());
    EXPECT_FALSE(profile.rsa_key_usage.empty());
    EXPECT_EQ(profile.extended_key_usage.size(), 1u);
    EXPECT_THAT(profile_names(""), Contains(name));
  }
  const Profile kra = load_profile("kra", "");
  EXPECT_THAT(kra.extended_key_usage, ElementsAre("kra"));
  EXPECT_THAT(kra.rsa_key_usage, ElementsAre("keyEncipherment"));
  EXPECT_THAT(kra.key_types, ElementsAre("rsa"));
}

TEST(Profile, IsNamedBackWhenTheNameIsNearlyRight) {
  const Error error = error_of([] { load_profile("sever", ""); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_STREQ(error.what(), "the profile \"sever\": there is none of this name");
  EXPECT_EQ(error.hint(), "did you mean server?");
  EXPECT_THAT(error_of([] { load_profile("../x", ""); }).hint(), HasSubstr("known are"));
}

TEST(Profile, OfTheUserGoesBeforeAShippedOne) {
  const TemporaryFolder folder;
  folder.write("server.toml", "description = \"ours\"\n[usage]\nrsa = [\"keyagreement\"]\n");
  folder.write("vpn.toml", "[usage]\nextended = [\"ipsecIKE\", \"1.3.6.1.5.5.7.3.2\"]\n");
  folder.write("notes.txt", "no profile");
  const std::string path = folder.path().string();
  EXPECT_EQ(load_profile("server", path).description, "ours");
  EXPECT_THAT(load_profile("server", path).rsa_key_usage, ElementsAre("keyAgreement"));
  EXPECT_THAT(load_profile("vpn", path).extended_key_usage, ElementsAre("ipsecIKE", "clientAuth"));
  EXPECT_THAT(profile_names(folder / "absent"),
              ElementsAre("ca-exchange", "client", "client-8021x", "client-ipsec", "client-vpn",
                          "codesign", "email", "hongkongpost-ecert", "kra", "ocsp", "server",
                          "server-multidomain", "server-wildcard", "subca"));
  EXPECT_THAT(profile_names(path), Contains("vpn"));
  EXPECT_EQ(profile_names(path).size(), profile_names(folder / "absent").size() + 1);
}

TEST(Profile, IsRefusedWhenOthersMayWriteIt) {
  const TemporaryFolder folder;
  folder.write("ours.toml", "", 0666);
  EXPECT_EQ(error_of([&] { load_profile("ours", folder.path().string()); }).kind(),
            Kind::unsafe_permissions);
}

TEST(Profile, SaysFileLineAndNearestKey) {
  const TemporaryFolder folder;
  const std::string file = folder.write("bad.toml", "description = \"x\"\n\n[usage]\nrsaa = []\n");
  const Error error = error_of([&] { load_profile("bad", folder.path().string()); });
  EXPECT_EQ(error.kind(), Kind::configuration);
  EXPECT_EQ(error.what(), "read the profile \"" + file + "\", line 4: usage.rsaa is not known");
  EXPECT_EQ(error.hint(), "did you mean usage.rsa?");
}

TEST(Profile, RefusesWhatItCannotUse) {
  const struct {
    const char* toml;
    const char* message;
  } cases[] = {
      {"a = ", "line 1: "},
      {"[kye]\n", "line 1: kye is not known"},
      {"key = 1\n", "line 1: [key] must be a table"},
      {"[key]\ntypes = \"rsa\"\n", "line 2: key.types must be a list of texts"},
      {"[key]\ntypes = [\"dsa\"]\n", "line 2: key.types holds \"dsa\": known are rsa, ec, ed25519"},
      {"[key]\nrsa_bits = 512\n", "line 2: key.rsa_bits must be a number from 1024 to 16384"},
      {"[key]\nrsa_bits = \"2048\"\n", "key.rsa_bits must be a number"},
      {"[usage]\nrsa = [\"sign\"]\n", "line 2: usage.rsa: the key usage \"sign\": not known"},
      {"[usage]\nrsa = [1]\n", "line 2: usage.rsa must be text"},
      {"[subject]\nrequired = 1\n", "subject.required must be a list"},
      {"[names]\none_of = [\"dsn\"]\n", "names.one_of holds \"dsn\""},
      {"[names]\nwildcard = \"maybe\"\n", "names.wildcard is \"maybe\""},
      {"description = 1\n", "description must be text"},
      {"[issue]\nauthority = \"yes\"\n", "line 2: issue.authority must be true or false"},
      {"[key]\nrsa_bits_most = 1\n", "key.rsa_bits_most must be a number from 1024 to 16384"},
  };
  for (const auto& [toml, message] : cases) {
    const Error error = error_of([&, text = toml] { parse_profile(text, "t", "t.toml"); });
    EXPECT_EQ(error.kind(), Kind::configuration) << toml;
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("read the profile \"t.toml\", "), HasSubstr(message)));
  }
}

TEST(ApplyProfile, FillsInWhatWasNotAskedFor) {
  const Profile profile = load_profile("server", "");
  const ossl::Name subject = parse_name("CN=WWW.example.com,O=Example Ltd");
  Wishes wishes;
  std::vector<std::string> notices;
  wishes.names = parse_alt_names("dns:shop.example.com", notices);
  apply_profile(profile, ossl::KeyAlgorithm::rsa, subject.get(), wishes, notices);
  EXPECT_THAT(texts_of(wishes.names), ElementsAre("dns:www.example.com", "dns:shop.example.com"));
  EXPECT_THAT(wishes.key_usage, ElementsAre("digitalSignature", "keyEncipherment"));
  EXPECT_THAT(wishes.extended_key_usage, ElementsAre("serverAuth"));
  EXPECT_THAT(notices, ElementsAre("the name dns:www.example.com is added, as it stands in the "
                                   "subject (CN)"));
}

TEST(ApplyProfile, KeepsWhatWasAskedFor) {
  const Profile profile = load_profile("server", "");
  const ossl::Name subject = parse_name("CN=Our Server");
  Wishes wishes;
  std::vector<std::string> notices;
  wishes.key_usage = {"keyAgreement"};
  wishes.extended_key_usage = {"clientAuth"};
  apply_profile(profile, ossl::KeyAlgorithm::ec, subject.get(), wishes, notices);
  EXPECT_THAT(wishes.key_usage, ElementsAre("keyAgreement"));
  EXPECT_THAT(wishes.extended_key_usage, ElementsAre("clientAuth"));
  EXPECT_THAT(wishes.names, IsEmpty());
  EXPECT_THAT(notices, IsEmpty());
}

TEST(ApplyProfile, TakesAddressesFromTheSubject) {
  Wishes wishes;
  std::vector<std::string> notices;
  apply_profile(load_profile("email", ""), ossl::KeyAlgorithm::ec,
                parse_name("emailAddress=a@example.com,CN=A").get(), wishes, notices);
  EXPECT_THAT(texts_of(wishes.names), ElementsAre("email:a@example.com"));
  wishes = {};
  apply_profile(load_profile("server", ""), ossl::KeyAlgorithm::ed25519,
                parse_name("CN=2001:db8::1").get(), wishes, notices);
  EXPECT_THAT(texts_of(wishes.names), ElementsAre("ip:2001:db8::1"));
  EXPECT_THAT(wishes.key_usage, ElementsAre("digitalSignature"));
  apply_profile(load_profile("client", ""), ossl::KeyAlgorithm::ed25519, nullptr, wishes, notices);
}

}  // namespace
}  // namespace hsmith::x509
