#include "cli/message_verification.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/jws.h"
#include "src/cms/smime.h"
#include "src/cms/verify.h"
#include "src/x509/alt_names.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

// A message taken apart: a JWS is its own text.
struct Parts {
  Bytes cms;                     // BER; empty for a JWS
  std::optional<Bytes> content;  // the signed part of multipart/signed
};

Parts parts_of(const MessageToVerify& message) {
  if (message.format == SignatureFormat::jws) return {};
  if (message.format == SignatureFormat::cms)
    return {cms::cms_of(message.content, message.name), std::nullopt};
  cms::SmimeMessage read = cms::read_smime(message.content, message.name);
  return {std::move(read.cms), std::move(read.content)};
}

cms::WeakDigest weak_digest(const std::optional<Validation>& validation) {
  const bool accept = validation && validation->path.security_level == 0;
  return accept ? cms::WeakDigest::accept : cms::WeakDigest::refuse;
}

cms::VerifiedMessage verify_parts(const MessageToVerify& message, Parts& parts,
                                  const ExpectedSigner& expected, cms::WeakDigest weak) {
  cms::Content detached;
  if (parts.content) {
    detached = [&](const auto& take) { take(*parts.content); };
  } else if (!message.signed_file.empty()) {
    detached = [&](const auto& take) { read_blocks(message.signed_file, take); };
  }
  const cms::Content* content = detached ? &detached : nullptr;
  if (message.format == SignatureFormat::jws)
    return cms::verify_jws(message.content, content, expected.key.get(), message.name);
  std::vector<ossl::Certificate> others;
  if (expected.certificate) others.push_back(ossl::share(expected.certificate.get()));
  cms::VerifiedMessage verified =
      cms::verify_message(parts.cms, content, others, weak, message.name);
  if (parts.content) verified.content = std::move(parts.content);
  return verified;
}

bool is_expected(const cms::Signature& signature, const ExpectedSigner& expected) {
  if (!signature.certificate) return true;  // a JWS without one was verified with the expected key
  if (expected.certificate)
    return x509::same_certificate(signature.certificate.get(), expected.certificate.get());
  return ossl::same_public_key(x509::public_key_of(signature.certificate.get()),
                               expected.key.get());
}

std::string mailboxes(X509* certificate) {
  std::vector<std::string> found;
  for (const x509::AltName& name : x509::certificate_facts(certificate).extensions.names) {
    if (name.kind == x509::AltNameKind::email) found.push_back(name.value);
  }
  return found.empty() ? ""
                       : fmt::format(" <{}>", printable(fmt::format("{}", fmt::join(found, ", "))));
}

struct Report {
  Json signers = Json::array();
  std::string text;
  bool verifies = true;
  bool certificates_good = true;
  bool expected_found = false;
};

void report_certificate(const cms::Signature& signature,
                        const std::optional<Validation>& validation, Json& json, Report& report) {
  if (!validation) {
    report.text += "  the certificate itself was not validated\n";
    return;
  }
  CertificateVerdict verdict{"the message has none to validate", false};
  if (signature.certificate) verdict = validate(signature.certificate.get(), *validation);
  json["certificate_valid"] = verdict.problem.empty();
  json["revocation_checked"] = verdict.revocation_checked;
  if (!verdict.problem.empty()) {
    report.certificates_good = false;
    json["certificate_problem"] = json_text(verdict.problem);
    report.text +=
        fmt::format("  NOT GOOD: its certificate does not verify: {}\n", verdict.problem);
    return;
  }
  report.text += fmt::format("  certificate: good; revocation: {}\n",
                             verdict.revocation_checked ? "checked" : "not checked");
}

void report_signature(const cms::Signature& signature, const std::optional<Validation>& validation,
                      Report& report) {
  Json json{{"signer", json_text(signature.signer)}};
  X509* certificate = signature.certificate.get();
  if (certificate != nullptr) json["certificate_sha256"] = x509::certificate_sha256(certificate);
  if (!signature.scheme.empty()) json["scheme"] = signature.scheme;
  if (signature.signing_time) json["signing_time"] = rfc3339(*signature.signing_time);
  json["verifies"] = signature.verifies;
  const std::string signer = printable(signature.signer) +
                             (certificate != nullptr ? mailboxes(certificate) : std::string());
  if (signature.verifies) {
    report.text += fmt::format("good signature: {} ({})\n", signer, signature.scheme);
    if (signature.signing_time) {
      report.text +=
          fmt::format("  signed {}, as the signer says\n", rfc3339(*signature.signing_time));
    }
    report_certificate(signature, validation, json, report);
  } else {
    report.verifies = false;
    json["problem"] = json_text(signature.problem);
    report.text += fmt::format("BAD signature: {}: {}\n", signer, signature.problem);
  }
  report.signers.push_back(std::move(json));
}

Report report_of(const cms::VerifiedMessage& message, const ExpectedSigner& expected,
                 const std::optional<Validation>& validation) {
  Report report;
  for (const cms::Signature& signature : message.signatures) {
    report_signature(signature, validation, report);
    report.expected_found |=
        expected.key == nullptr || (signature.verifies && is_expected(signature, expected));
  }
  return report;
}

void write_content(const MessageToVerify& message, const Bytes& content, Outcome& outcome,
                   Context& context) {
  if (message.output == "-") {
    context.tell(printable(outcome.text));
    outcome.raw = content;
    return;
  }
  write_file(message.output, content, kPublicFile, context.replace());
  outcome.data["content"] = json_text(message.output);
  outcome.text += fmt::format("{}\n", printable(message.output));
}

// "" or what stands against the message besides its signatures.
std::string problem_of(const MessageToVerify& message, const cms::VerifiedMessage& verified,
                       const Report& report) {
  if (report.verifies && !report.expected_found) {
    return "none of its signers is the one that was named";
  }
  if (verified.content && !message.signed_file.empty() &&
      !same_content(message.signed_file, *verified.content)) {
    return fmt::format("the content that was signed is in the message, and it is not {}",
                       quoted(message.signed_file));
  }
  return "";
}

}  // namespace

SignatureFormat format_of(ByteView content) {
  if (cms::looks_like_cms(content) || cms::looks_like_pem_cms(content)) return SignatureFormat::cms;
  if (cms::looks_like_smime(content)) return SignatureFormat::smime;
  return cms::looks_like_jws(content) ? SignatureFormat::jws : SignatureFormat::raw;
}

bool may_be_message(ByteView start) {
  return format_of(start) != SignatureFormat::raw || cms::begins_like_jws(start);
}

const char* format_name(SignatureFormat format) {
  switch (format) {
    case SignatureFormat::cms:
      return "cms";
    case SignatureFormat::smime:
      return "smime";
    case SignatureFormat::jws:
      return "jws";
    default:
      return "raw";
  }
}

bool same_content(const std::string& file, ByteView content) {
  bool same = true;
  read_blocks(file, [&](ByteView block) {
    const bool fits = block.size() <= content.size();
    same = same && fits && equal(block, content.first(block.size()));
    if (fits) content = content.subspan(block.size());
  });
  return same && content.empty();
}

CertificateVerdict validate(X509* certificate, const Validation& validation) {
  const x509::Verdict verdict = verify(certificate, validation.trust, validation.path);
  CertificateVerdict result{"", verdict.revocation_checked};
  if (!verdict.ok) {
    const auto& problems = verdict.problems;
    result.problem = problems.empty() ? "no path to a trusted root"
                                      : fmt::format("{}: {}", printable(problems.front().subject),
                                                    problems.front().reason);
    return result;
  }
  const auto usage = x509::certificate_facts(certificate).extensions.key_usage;
  const bool may_sign =
      usage.empty() || std::any_of(usage.begin(), usage.end(), [](const auto& one) {
        return one == "digitalSignature" || one == "nonRepudiation";
      });
  if (!may_sign) {
    result.problem = fmt::format("its key usage is {}, not to sign", fmt::join(usage, ", "));
  }
  return result;
}

Outcome verify_message(const MessageToVerify& message, const ExpectedSigner& expected,
                       std::optional<Validation> validation, Context& context) {
  Parts parts = parts_of(message);
  const cms::VerifiedMessage verified =
      verify_parts(message, parts, expected, weak_digest(validation));
  if (!message.output.empty() && !verified.content) {
    throw Error(Kind::usage, fmt::format("-o {}: the message {} does not hold the content",
                                         quoted(message.output), quoted(message.name)));
  }
  if (validation) {
    for (const ossl::Certificate& one : verified.certificates)
      validation->trust.untrusted.push_back(ossl::share(one.get()));
  }
  const Report report = report_of(verified, expected, validation);
  const std::string problem = problem_of(message, verified, report);
  Outcome outcome;
  const bool good = report.verifies && report.certificates_good && problem.empty();
  outcome.exit = good ? 0 : 3;
  outcome.data = {{"format", format_name(message.format)}, {"verifies", report.verifies}};
  if (validation && report.verifies) outcome.data["certificate_valid"] = report.certificates_good;
  outcome.data["signers"] = report.signers;
  outcome.text = report.text;
  if (!problem.empty()) {
    outcome.data["problem"] = json_text(problem);
    outcome.text += fmt::format("NOT GOOD: {}\n", problem);
  }
  if (good && !message.output.empty()) write_content(message, *verified.content, outcome, context);
  return outcome;
}

}  // namespace hsmith::cli
