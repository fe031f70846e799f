#include "src/recovery/submission.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/recovery/agents.h"
#include "src/recovery/archiving.h"
#include "src/recovery/private_key_blob.h"
#include "src/x509/kind.h"
#include "src/x509/request.h"

namespace hsmith::recovery {
namespace {

[[noreturn]] void refuse_without_key(const std::string& input) {
  throw Error(Kind::refused, fmt::format("archive the key of {}: it brings none "
                                         "(CERTSRV_E_ARCHIVED_KEY_REQUIRED 0x80094804)",
                                         input))
      .hint(
          "make such a request with: hsmith request new NAME --archive; what brings no key "
          "to archive is for ca issue");
}

}  // namespace

CmcRequest read_submission(ByteView file, const std::string& input) {
  if (x509::kind_of(file) == "a certificate request" && !is_cmc_request(cmc_of(file, input)))
    refuse_without_key(input);
  const Bytes ber = cmc_of(file, input);
  if (!is_cmc_request(ber)) x509::refuse_kind(file, input, "a CMC request");
  CmcRequest request = read_cmc_request(ber, input);
  if (!request.archived_key) refuse_without_key(input);
  return request;
}

std::string recipient_names(const Envelope& envelope) {
  std::string names;
  for (const cms::Recipient& one : envelope.data.recipients)
    names += (names.empty() ? "" : "; ") + cms::recipient_text(one);
  return names;
}

void require_for_encryption(const CmcRequest& request, const std::vector<std::string>& key_usage,
                            const std::vector<std::string>& purposes, const std::string& input) {
  const auto asked = x509::request_facts(request.request.get());
  const bool encrypts = asked.key_type.starts_with("rsa") || asked.key_type.starts_with("ec:");
  if (encrypts && !is_for_signatures_only(key_usage, purposes) &&
      !is_for_signatures_only(request.added_key_usage, request.added_purposes) &&
      !is_for_signatures_only(asked.extensions.key_usage, asked.extensions.extended_key_usage))
    return;
  throw Error(Kind::refused, fmt::format("archive the key of {}: it is for signatures only, and "
                                         "such keys are never archived",
                                         input))
      .hint("its key usage must have keyEncipherment, dataEncipherment or keyAgreement");
}

ossl::PKey submitted_key(const CmcRequest& request, const cms::Recipient& recipient,
                         ossl::RemoteKey& exchange_key, const std::string& input) {
  if (recipient.refusal) throw *recipient.refusal;
  try {
    const Secret plaintext =
        open_envelope(request.archived_key->envelope, recipient, exchange_key, input);
    return read_archived_key(plaintext.reveal(), x509::public_key_of(request.request.get()), input);
  } catch (const Error& error) {
    const Kind kind = error.kind();
    const bool of_the_content =
        kind == Kind::malformed || kind == Kind::mismatch || kind == Kind::decryption_failed;
    if (!of_the_content) throw;
    throw Error(Kind::mismatch,
                fmt::format("archive the key of {}: what comes out of its envelope is not the "
                            "private key of its PKCS#10 "
                            "(CERTSRV_E_BAD_REQUEST_KEY_ARCHIVAL 0x8009400C)",
                            input))
        .hint("nothing was archived and nothing issued; let the applicant make another request");
  }
}

}  // namespace hsmith::recovery
