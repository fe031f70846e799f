// What a file is, in the messages that refuse it.
#include "src/x509/kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::HasSubstr;
using tests::error_of;

std::string kind(std::string_view content) { return kind_of(as_bytes(content)); }

TEST(Kind, OfTextIsToldByHowItBegins) {
  EXPECT_EQ(kind(""), "an empty file");
  EXPECT_EQ(kind(" \r\n\t"), "an empty file");
  EXPECT_EQ(kind("hello"), "text without a PEM block");
  EXPECT_EQ(kind("\n<!DOCTYPE html><html>"), "an HTML page");
  EXPECT_EQ(kind("<HTML>"), "an HTML page");
  EXPECT_EQ(kind("<?xml version=\"1.0\"?>"), "an XML file");
  EXPECT_EQ(kind("{\"a\": 1}"), "a JSON file");
  EXPECT_EQ(kind("[Password Token]\r\nProtection=40\r\nProfile Version=2\r\n"),
            "an EPF file, a profile of Outlook or Entrust");
  EXPECT_EQ(kind("[section]\nname=value\n"), "text without a PEM block");
  EXPECT_EQ(kind("ssh-ed25519 AAAA x"), "an OpenSSH public key");
  EXPECT_EQ(kind("ecdsa-sha2-nistp256 AAAA"), "an OpenSSH public key");
  EXPECT_EQ(kind("eyJhbGciOiJFUzI1NiJ9.eA.AA_-\n"), "a JWS");
  EXPECT_EQ(kind("MIME-Version: 1.0\n\nx"), "a MIME message");
  EXPECT_EQ(kind("From: a@b\nMIME-Version: 1.0\n\nx"), "a MIME message");
  EXPECT_EQ(kind(std::string(100, 'A')), "Base64 without its BEGIN and END lines");
  EXPECT_EQ(kind("\xff\xfe-"), "UTF-16 text");
}

TEST(Kind, OfPemIsItsFirstLabelEvenWhereTheRestIsDamaged) {
  EXPECT_EQ(kind("text\n-----BEGIN CERTIFICATE-----\n*"), "a certificate");
  EXPECT_EQ(kind("-----BEGIN X509 CRL-----"), "a certificate revocation list");
  EXPECT_EQ(kind("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "a private key");
  EXPECT_EQ(kind("-----BEGIN DH PARAMETERS-----\n"), "PEM of the type \"DH PARAMETERS\"");
  EXPECT_EQ(kind("-----BEGIN " + std::string(100, 'x')).size(), 64 + 18u);
}

TEST(Kind, OfBytesIsToldByTheirFirstOnes) {
  EXPECT_EQ(kind(std::string("\x7f"
                             "ELF\0",
                             5)),
            "a program");
  EXPECT_EQ(kind("\xfe\xed\xfe\xed"), "a Java key store");
  EXPECT_EQ(kind(std::string("\0\0", 2)), "nothing that hsmith knows");
  EXPECT_EQ(kind("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"),
            "an encrypted CMS message");
  EXPECT_EQ(kind("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), "a PKCS#7 or CMS file");
}

TEST(Kind, IsInTheRefusalWithWhatWasExpectedAndWithTheCommandForIt) {
  const auto refusal = [](std::string_view content) {
    return error_of([&] { refuse_kind(as_bytes(content), "\"f\"", "a certificate"); });
  };
  const Error request = refusal("-----BEGIN CERTIFICATE REQUEST-----\n");
  EXPECT_EQ(request.kind(), hsmith::Kind::malformed);
  EXPECT_STREQ(request.what(), "read \"f\": this is a certificate request, expected a certificate");
  EXPECT_EQ(request.hint(), "hsmith request show FILE");
  const Error cmc = refusal(
      "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\x02\x01\x03"
      "\x06\x08\x2b\x06\x01\x05\x05\x07\x0c\x02");
  EXPECT_STREQ(cmc.what(), "read \"f\": this is a CMC request, expected a certificate");
  EXPECT_THAT(cmc.hint(), HasSubstr("hsmith request show FILE"));
  const Error pfx = refusal(std::string_view("\x30\x05\x02\x01\x03\x30\x00", 7));
  EXPECT_STREQ(pfx.what(), "read \"f\": this is a PKCS#12 file, expected a certificate");
  EXPECT_EQ(pfx.hint(), "hsmith pfx show FILE");
  const Error damaged = refusal("-----BEGIN CERTIFICATE-----\n");
  EXPECT_STREQ(damaged.what(), "read \"f\": this is damaged, or not a certificate");
  EXPECT_EQ(damaged.hint(), "");
  EXPECT_STREQ(refusal(std::string("\0", 1)).what(),
               "read \"f\": this is damaged, or not a certificate");
}

}  // namespace
}  // namespace hsmith::x509
