// Messages: S/MIME, JWS and CMS that nobody signed never verify, and what S/MIME reads it writes.
#include <algorithm>
#include <cstdlib>

#include "src/base/error.h"
#include "src/cms/content_info.h"
#include "src/cms/jws.h"
#include "src/cms/smime.h"
#include "src/cms/verify.h"

namespace {

using namespace hsmith;

template <typename Read>
void try_to(Read read) {
  try {
    read();
  } catch (const Error&) {
  }
}

void read_smime(ByteView input) {
  const cms::SmimeMessage message = cms::read_smime(input, "input");
  if (message.cms.empty()) std::abort();
  const std::string again = message.content
                                ? cms::multipart_signed(*message.content, message.cms, "sha256")
                                : cms::pkcs7_mime(message.cms, "signed-data");
  if (!cms::looks_like_smime(as_bytes(again))) std::abort();
  const cms::SmimeMessage second = cms::read_smime(as_bytes(again), "again");
  if (second.cms != message.cms || second.content != message.content) std::abort();
}

// The content is one that no message of the corpus was made for.
const cms::Content kContent = [](const auto& take) { take(as_bytes("never signed by anybody")); };

void verify(const cms::VerifiedMessage& message) {
  const bool held = message.content.has_value();
  for (const cms::Signature& one : message.signatures) {
    if (one.verifies != one.problem.empty() || (one.verifies && !held)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const ByteView input(data, size);
  try_to([&] { read_smime(input); });
  try_to([&] { verify(cms::verify_jws(input, &kContent, nullptr, "input")); });
  try_to(
      [&] { verify(cms::verify_message(input, &kContent, {}, cms::WeakDigest::accept, "input")); });
  try_to([&] { cms::mime_entity(input, "input"); });
  return 0;
}
