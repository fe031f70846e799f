#include "src/cms/smime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "tests/support/error_of.h"

namespace hsmith::cms {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::error_of;

const Bytes kCms{1, 2, 3, 4, 5};

std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

std::string message(std::string_view type, std::string_view body) {
  return "Content-Type: " + std::string(type) + "\n" + std::string(body);
}

std::string refusal(const std::string& text) {
  const Error error = error_of([&] { read_smime(as_bytes(text), "m.eml"); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  return error.what();
}

TEST(Smime, OfBothShapesReadsBack) {
  const Bytes entity = mime_entity(as_bytes("a\nb\r\n"), "f");
  EXPECT_THAT(text_of(entity), HasSubstr("\r\n\r\na\r\nb\r\n"));
  const SmimeMessage clear = read_smime(as_bytes(multipart_signed(entity, kCms, "sha256")), "m");
  EXPECT_EQ(clear.cms, kCms);
  EXPECT_EQ(clear.content, entity);
  const SmimeMessage opaque = read_smime(as_bytes(pkcs7_mime(kCms, "signed-data")), "m");
  EXPECT_EQ(opaque.cms, kCms);
  EXPECT_FALSE(opaque.content);
}

TEST(Smime, MakesAnEntityOfAnyFile) {
  EXPECT_THAT(text_of(mime_entity(as_bytes("plain"), "f")),
              StartsWith("Content-Type: text/plain; charset=us-ascii"));
  EXPECT_THAT(text_of(mime_entity(as_bytes("\xc3\xa4"), "f")), HasSubstr("utf-8"));
  EXPECT_THAT(text_of(mime_entity(Bytes{0, 1, 2}, "a\"b")), HasSubstr("filename=\"a_b\""));
  EXPECT_THAT(text_of(mime_entity(as_bytes(std::string(2000, 'x')), "f")),
              HasSubstr("octet-stream"));
  EXPECT_THAT(text_of(mime_entity(as_bytes("lone \r return"), "f")), HasSubstr("octet-stream"));
  EXPECT_EQ(text_of(mime_entity(as_bytes("Content-Type: text/html\n\n<p>\n"), "f")),
            "Content-Type: text/html\r\n\r\n<p>\r\n");
  // A line that looks like a header makes no headers.
  EXPECT_THAT(text_of(mime_entity(as_bytes("Subject: x\n\nbody"), "f")),
              StartsWith("Content-Type: text/plain"));
}

TEST(Smime, IsToldByItsHeaders) {
  for (const char* type : {"multipart/signed; boundary=x", "application/pkcs7-mime",
                           "APPLICATION/X-PKCS7-MIME; name=\"a;b\"", "multipart/signed"}) {
    EXPECT_TRUE(looks_like_smime(as_bytes(message(type, "\n")))) << type;
  }
  for (const std::string& text :
       {message("text/plain", "\n"), message("multipart/signed; boundary", "\n"),
        message("multipart/signed; a=b; A=c", "\n"), message("multipart/signed; a=\"b", "\n"),
        message("multipart/signed", "Content-Type: text/plain\n\n"), std::string(" folded\n"),
        std::string("no header at all"), std::string(),
        message("multipart/signed", "X: " + std::string(100'000, 'x') + "\n\n")}) {
    EXPECT_FALSE(looks_like_smime(as_bytes(text))) << text.substr(0, 80);
  }
}

TEST(Smime, OfAnotherShapeIsRefused) {
  const std::string part = "--x\nContent-Type: text/plain\n\nhello\n";
  const std::string signature =
      "--x\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\nAQID\n";
  const char* type = "multipart/signed; boundary=x";
  EXPECT_EQ(read_smime(as_bytes(message(type, "\n" + part + signature + "--x--\n")), "m").cms,
            (Bytes{1, 2, 3}));
  EXPECT_THAT(refusal(message(type, "\n" + part + signature)), HasSubstr("does not end"));
  EXPECT_THAT(refusal(message(type, "\n" + part + "--x--\n")), HasSubstr("has 1 parts, not two"));
  EXPECT_THAT(refusal(message(type, "\n" + part + part + signature + "--x--\n")),
              HasSubstr("has 3 parts, not two"));
  EXPECT_THAT(refusal(message(type, "\n" + signature + part + "--x--\n")),
              HasSubstr("is no PKCS#7 signature"));
  EXPECT_THAT(refusal(message("multipart/signed", "\n" + part)), HasSubstr("names no boundary"));
  EXPECT_THAT(refusal(message("multipart/signed; boundary=" + std::string(71, 'b'), "\n")),
              HasSubstr("longer than 70"));
  EXPECT_THAT(
      refusal(message("multipart/signed; boundary=x; protocol=\"application/pgp-signature\"",
                      "\n" + part)),
      HasSubstr("is not S/MIME"));
}

TEST(Smime, WithABodyThatIsNotBase64IsRefused) {
  const std::string headers = "Content-Transfer-Encoding: base64\n\n";
  EXPECT_EQ(
      read_smime(as_bytes(message("application/pkcs7-mime", headers + "AQ\r\n ID\n")), "m").cms,
      (Bytes{1, 2, 3}));
  for (const char* body : {"", "AQI", "AQ=D", "A?ID", "AQIDBR==", "AQID\n--\n"}) {
    EXPECT_THAT(refusal(message("application/pkcs7-mime", headers + body)), HasSubstr("not Base64"))
        << body;
  }
  EXPECT_THAT(refusal(message("application/pkcs7-mime", "\nAQID")), HasSubstr("not in Base64"));
}

TEST(Smime, KeepsToItsOwnBoundary) {
  // Lines that begin like the boundary and are another one belong to the part.
  const std::string text =
      message("multipart/signed; boundary=\"a b\"",
              "\npreamble\n--a b\nX: y\n\n--a bc\n--a\n--a b--c\n\n--a b\nContent-Type: "
              "application/x-pkcs7-signature\nContent-Transfer-Encoding: BASE64\n\nAQID\n--a "
              "b--\nepilogue\n");
  EXPECT_EQ(text_of(*read_smime(as_bytes(text), "m").content),
            "X: y\r\n\r\n--a bc\r\n--a\r\n--a b--c\r\n");
}

}  // namespace
}  // namespace hsmith::cms
