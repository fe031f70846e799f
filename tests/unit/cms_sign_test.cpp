// CMS messages signed by a remote key, verified, and taken apart and put together wrongly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/cms/content_info.h"
#include "src/cms/sign.h"
#include "src/cms/verify.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::cms {
namespace {

using ::testing::HasSubstr;
using tests::error_of;

constexpr std::string_view kText = "some text";

Content text_content(std::string_view text) {
  return [text](const auto& take) { take(as_bytes(text)); };
}

Bytes element(unsigned char tag, ByteView content) {
  Bytes whole{tag};
  if (content.size() < 0x80) {
    whole.push_back(static_cast<unsigned char>(content.size()));
  } else {
    whole.insert(whole.end(), {0x83, static_cast<unsigned char>(content.size() >> 16),
                               static_cast<unsigned char>(content.size() >> 8),
                               static_cast<unsigned char>(content.size())});
  }
  whole.insert(whole.end(), content.begin(), content.end());
  return whole;
}

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// A SignedData message in pieces, each with its header.
struct Pieces {
  Bytes version, digests, content, certificates;
  std::vector<Bytes> signers;

  Bytes assemble() const {
    const Bytes data =
        element(kSequence,
                joined({version, digests, content, certificates, element(kSet, joined(signers))}));
    const Bytes type{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    return element(kSequence, joined({type, element(context_tag(0) | kConstructed, data)}));
  }
};

class CmsSignatures : public ::testing::Test {
 protected:
  Bytes sign_with(const tests::Identity& identity, Placing placing = Placing::detached) {
    const auto scheme = ossl::choose_scheme(identity.key->public_key(), "", "");
    return sign({identity.key, scheme, identity.certificate.get(), {}}, placing,
                text_content(kText));
  }

  static Pieces pieces_of(const Bytes& message) {
    const ContentInfo info = read_content_info(message, "message");
    Reader reader(info.content, "message");
    Pieces pieces;
    pieces.version = to_bytes(reader.next().whole);
    pieces.digests = to_bytes(reader.next().whole);
    pieces.content = to_bytes(reader.next().whole);
    pieces.certificates = to_bytes(reader.next().whole);
    for (Reader each(reader.next(), "signers"); each.more();)
      pieces.signers.push_back(to_bytes(each.next().whole));
    return pieces;
  }

  VerifiedMessage verified(const Bytes& message, std::string_view text = kText) {
    const Content content = text_content(text);
    return verify_message(message, &content, {}, WeakDigest::refuse, "message");
  }

  bool accepted(const Bytes& message) {
    try {
      const VerifiedMessage result = verified(message);
      return std::all_of(result.signatures.begin(), result.signatures.end(),
                         [](const auto& one) { return one.verifies; });
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == Kind::malformed || error.kind() == Kind::unsupported)
          << error.what();
      return false;
    }
  }

  Error refusal(const Pieces& pieces) {
    const Bytes message = pieces.assemble();
    return error_of([&] { verified(message); });
  }

  static tests::Identity named(const std::string& subject, const tests::Identity& issuer) {
    tests::CertificateSpec spec;
    spec.subject = subject;
    return tests::issue(spec, &issuer);
  }

  tests::Identity root_ = tests::root();
  tests::Identity alice_ = named("CN=alice", root_);
  tests::Identity bob_ = named("CN=bob", root_);
};

TEST_F(CmsSignatures, VerifyForTheirContentOnly) {
  const Bytes message = sign_with(alice_);
  const VerifiedMessage right = verified(message);
  const Signature& good = right.signatures.front();
  EXPECT_TRUE(good.verifies);
  EXPECT_EQ(good.signer, "CN=alice");
  EXPECT_EQ(good.scheme, "ECDSA with sha256");
  EXPECT_TRUE(good.signing_time);
  const VerifiedMessage wrong = verified(message, "other text");
  const Signature& bad = wrong.signatures.front();
  EXPECT_FALSE(bad.verifies);
  EXPECT_EQ(bad.problem, "the content is not the one that was signed");
}

TEST_F(CmsSignatures, HoldTheirContentWhenAttached) {
  const Bytes message = sign_with(alice_, Placing::attached);
  const VerifiedMessage result =
      verify_message(message, nullptr, {}, WeakDigest::refuse, "message");
  EXPECT_TRUE(result.signatures.front().verifies);
  EXPECT_EQ(as_text(*result.content), kText);
}

TEST_F(CmsSignatures, AreNeverAcceptedWithAnyBitFlipped) {
  Bytes message = sign_with(alice_);
  ASSERT_TRUE(accepted(message));
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    const auto mask = static_cast<unsigned char>(1u << bit % 8);
    message[bit / 8] ^= mask;
    EXPECT_FALSE(accepted(message)) << "byte " << bit / 8 << ", bit " << bit % 8;
    message[bit / 8] ^= mask;
  }
}

TEST_F(CmsSignatures, AreNeverAcceptedCutOffOrWithMoreBehind) {
  const Bytes message = sign_with(alice_);
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(accepted(Bytes(message.begin(), message.begin() + static_cast<long>(size))));
  Bytes longer = message;
  longer.push_back(0);
  EXPECT_FALSE(accepted(longer));
}

TEST_F(CmsSignatures, NeedASigner) {
  Pieces pieces = pieces_of(sign_with(alice_));
  pieces.signers.clear();
  EXPECT_THAT(refusal(pieces).what(), HasSubstr("nobody signed it"));
}

TEST_F(CmsSignatures, HaveEachSignerInfoOnce) {
  Pieces pieces = pieces_of(sign_with(alice_));
  pieces.signers.push_back(pieces.signers.front());
  EXPECT_THAT(refusal(pieces).what(), HasSubstr("stands there twice"));
}

TEST_F(CmsSignatures, AreListedEachForItself) {
  Pieces pieces = pieces_of(sign_with(alice_));
  const Pieces other = pieces_of(sign_with(bob_));
  pieces.signers.push_back(other.signers.front());
  // Bob's certificate is not in the message.
  const VerifiedMessage result = verified(pieces.assemble());
  ASSERT_EQ(result.signatures.size(), 2u);
  EXPECT_TRUE(result.signatures[0].verifies);
  EXPECT_EQ(result.signatures[1].problem, "its certificate is not in the message");
}

// CVE-2026-45447: the library walked into memory that it had freed.
TEST_F(CmsSignatures, WithAnEmptyListOfDigestsAreRefused) {
  Pieces pieces = pieces_of(sign_with(alice_));
  pieces.digests = element(kSet, {});
  const Error error = refusal(pieces);
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_THAT(error.what(), HasSubstr("its digest sha256 is not among the message's"));
}

TEST_F(CmsSignatures, WithADigestTwiceOrAnUnknownOneAreRefused) {
  Pieces pieces = pieces_of(sign_with(alice_));
  Reader list(Reader(pieces.digests, "list").next(), "list");
  const Bytes one = to_bytes(list.next().whole);
  pieces.digests = element(kSet, joined({one, one}));
  EXPECT_THAT(refusal(pieces).what(), HasSubstr("a digest stands there twice"));
  pieces.digests = element(kSet, joined({one, element(kSequence, Bytes{0x06, 0x01, 0x2a})}));
  EXPECT_EQ(refusal(pieces).kind(), Kind::unsupported);
}

TEST_F(CmsSignatures, WithoutTheContentAskForIt) {
  const Bytes message = sign_with(alice_);
  const Error error =
      error_of([&] { verify_message(message, nullptr, {}, WeakDigest::refuse, "message"); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_THAT(error.what(), HasSubstr("does not hold what was signed"));
}

TEST_F(CmsSignatures, WithPiecesOfAnotherKindAreRefused) {
  const Pieces good = pieces_of(sign_with(alice_));
  const Bytes null{kNull, 0};
  for (Bytes Pieces::*piece :
       {&Pieces::version, &Pieces::digests, &Pieces::content, &Pieces::certificates}) {
    Pieces pieces = good;
    pieces.*piece = null;
    EXPECT_EQ(refusal(pieces).kind(), Kind::malformed);
  }
  Pieces pieces = good;
  pieces.signers = {null};
  EXPECT_EQ(refusal(pieces).kind(), Kind::malformed);
  // Each field of the signer info in turn.
  const Reader info(Reader(good.signers.front(), "signer").next(), "signer");
  std::vector<Bytes> fields;
  for (Reader each = info; each.more();) fields.push_back(to_bytes(each.next().whole));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto changed = fields;
    changed[i] = null;
    pieces.signers = {element(kSequence, joined(changed))};
    EXPECT_EQ(refusal(pieces).kind(), Kind::malformed) << "field " << i;
    changed.erase(changed.begin() + static_cast<long>(i));
    pieces.signers = {element(kSequence, joined(changed))};
    // Signed attributes may be absent, but this signature is over them.
    EXPECT_FALSE(accepted(pieces.assemble())) << "field " << i;
  }
}

TEST_F(CmsSignatures, WithRsaPssThatLacksItsParametersAreRefused) {
  const tests::Identity rsa{tests::MemoryKey::generate("rsa:2048"), nullptr};
  const ossl::Certificate certificate = tests::certify({}, rsa.key, &root_);
  const auto scheme = ossl::choose_scheme(rsa.key->public_key(), "pss", "");
  const Bytes message =
      sign({rsa.key, scheme, certificate.get(), {}}, Placing::detached, text_content(kText));
  ASSERT_TRUE(accepted(message));
  Pieces pieces = pieces_of(message);
  std::vector<Bytes> fields;
  for (Reader each(Reader(pieces.signers.front(), "signer").next(), "signer"); each.more();)
    fields.push_back(to_bytes(each.next().whole));
  const Bytes oid{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a};
  for (const Bytes& parameters : {Bytes{}, Bytes{kNull, 0}, element(kSequence, {})}) {
    fields[4] = element(kSequence, joined({oid, parameters}));
    pieces.signers = {element(kSequence, joined(fields))};
    EXPECT_EQ(refusal(pieces).kind(), Kind::malformed);
  }
}

TEST_F(CmsSignatures, BindTheCertificateThatSigned) {
  // The same name, serial number and key in another certificate: only its hash tells them apart.
  const Bytes message = sign_with(alice_);
  const ossl::Certificate other(X509_dup(alice_.certificate.get()));
  X509_gmtime_adj(X509_getm_notAfter(other.get()), 1000);
  ASSERT_GT(X509_sign(other.get(), root_.key->private_key(), EVP_sha256()), 0);
  Pieces pieces = pieces_of(message);
  unsigned char* der = nullptr;
  const int size = i2d_X509(other.get(), &der);
  ASSERT_GT(size, 0);
  pieces.certificates =
      element(context_tag(0) | kConstructed, ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  const VerifiedMessage result = verified(pieces.assemble());
  EXPECT_FALSE(result.signatures.front().verifies);
  EXPECT_THAT(result.signatures.front().problem, HasSubstr("another certificate of this name"));
}

TEST_F(CmsSignatures, OfACertificateThatIsNotTheKeysAreNotMade) {
  const auto scheme = ossl::choose_scheme(alice_.key->public_key(), "", "");
  EXPECT_ANY_THROW(sign({alice_.key, scheme, bob_.certificate.get(), {}}, Placing::detached,
                        text_content(kText)));
}

TEST_F(CmsSignatures, ByMoreThanAHundredSignersAreRefusedAtOnce) {
  Pieces pieces = pieces_of(sign_with(alice_));
  const Bytes first = pieces.signers.front();
  for (std::size_t i = 0; i < 10'000; ++i) {
    Bytes another = first;
    another[another.size() - 1] ^= static_cast<unsigned char>(1 + i % 255);
    another[another.size() - 2] ^= static_cast<unsigned char>(i / 255);
    pieces.signers.push_back(std::move(another));
  }
  const Error error = refusal(pieces);
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("more than 100 signers"));
}

TEST(Ber, NestedWithoutEndIsRefusedAtOnce) {
  Bytes deep;
  for (int i = 0; i < 100'000; ++i) deep.insert(deep.end(), {kSequence, 0x80});
  const Error open = error_of([&] { check_ber(deep, "deep"); });
  EXPECT_THAT(open.what(), HasSubstr("nested deeper"));
  Bytes nested;
  for (int i = 0; i < 70; ++i) nested = element(kSequence, nested);
  EXPECT_THAT(error_of([&] { check_ber(nested, "deep"); }).what(), HasSubstr("nested deeper"));
}

TEST(Ber, OfEveryFormIsReadAlike) {
  // SEQUENCE of an OCTET STRING, definite, indefinite and in segments.
  const Bytes definite{0x30, 0x04, 0x04, 0x02, 'a', 'b'};
  const Bytes indefinite{0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 'a',
                         0x04, 0x01, 'b',  0x00, 0x00, 0x00, 0x00};
  for (const Bytes& ber : {definite, indefinite}) {
    check_ber(ber, "ber");
    Reader outer(ber, "ber");
    Reader inner(outer.next(), "ber");
    const Element octets = inner.next();
    EXPECT_EQ(octets_of(octets), (Bytes{'a', 'b'}));
    EXPECT_EQ(octets_size(octets), 2u);
    inner.end();
    outer.end();
  }
}

TEST(Ber, ThatIsDamagedIsMalformed) {
  for (const Bytes& ber :
       {Bytes{}, Bytes{0x30}, Bytes{0x30, 0x01}, Bytes{0x30, 0x80}, Bytes{0x04, 0x80, 0, 0},
        Bytes{0x30, 0x02, 0x04, 0x01}, Bytes{0x30, 0x03, 0x30, 0x80, 0x00}, Bytes{0x1f, 0x01, 0x00},
        Bytes{0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1}, Bytes{0x30, 0x00, 0x00}, Bytes{0x00, 0x00},
        Bytes{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}) {
    EXPECT_EQ(error_of([&] { check_ber(ber, "ber"); }).kind(), Kind::malformed);
  }
}

}  // namespace
}  // namespace hsmith::cms
