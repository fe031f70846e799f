#include "cli/submission.h"

#include <ctime>
#include <filesystem>
#include <fmt/format.h>

#include "cli/other_keys.h"
#include "src/base/error.h"
#include "src/base/file_identity.h"
#include "src/base/prepared_file.h"
#include "src/base/sha256.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/recovery/cmc_write.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

struct Made {
  ca::Issued issued;
  ossl::Certificate certificate;
  Bytes response;  // empty: none is wanted
  Bytes p7b;
};

Bytes file_content(const ca::Issued& issued, const SubmissionOutput& output) {
  if (output.format == "der") return issued.certificate;
  const auto certificate = x509::certificate_from_der(issued.certificate, "the certificate");
  return to_bytes(as_bytes(x509::certificate_pem(certificate.get())));
}

// The certificate with its authority's, as certreq -submit writes them.
Bytes p7b_of(X509* issued, X509* authority) {
  std::vector<ossl::Certificate> chain;
  chain.push_back(ossl::share(issued));
  chain.push_back(ossl::share(authority));
  return x509::certificates_p7b(chain);
}

Bytes response_to(const Submission& asked, X509* issued, const ca::Signer& signer) {
  recovery::IssuedAnswer answer;
  answer.issued = issued;
  answer.authority = signer.certificate;
  answer.archived_key_hash = asked.request.archived_key->hash;
  return recovery::make_cmc_response(answer, signer.key);
}

Made make(const Archiving& work, const SubmissionOutput& output) {
  Made made;
  made.certificate = ca::make_certificate(work.draft.content, work.signer);
  made.issued =
      ca::issued_from(made.certificate.get(), work.own, work.asked.profile, std::time(nullptr));
  made.issued.request = work.asked.sha256;
  made.issued.file = absolute_output(output);
  if (!output.response.empty())
    made.response = response_to(work.asked, made.certificate.get(), work.signer);
  if (!output.p7b.empty()) made.p7b = p7b_of(made.certificate.get(), work.own.certificate.get());
  return made;
}

std::vector<recovery::Candidate> candidate_of(const Archiving& work, const Made& made,
                                              recovery::Archive& archive, Context& context) {
  std::vector<recovery::Candidate> candidates(1);
  recovery::Candidate& candidate = candidates.front();
  candidate.key = ossl::share(work.key.get());
  candidate.certificate = ossl::share(made.certificate.get());
  candidate.chain.push_back(ossl::share(work.own.certificate.get()));
  const auto judgement = recovery::judge(archive, work.trust, candidate, false, std::time(nullptr));
  if (judgement.fate == recovery::Fate::fit) {
    warn_of_other_key(context, archive, candidate.certificate.get());
    return candidates;
  }
  throw Error(Kind::refused,
              fmt::format("archive the key of {}: {}", work.asked.name, judgement.cause));
}

// What the error left in the archive, for its message; "" when the key is not there. After an error
// nobody knows without looking.
std::string left_in(recovery::Archive& archive, X509* certificate) {
  try {
    return recovery::is_archived(archive, certificate) ? "the key is archived" : "";
  } catch (const Error&) {
    return "whether the key is archived is not known";
  }
}

void record_issue(Database& store, const ca::Issued& issued) {
  Transaction transaction(store);
  ca::refuse_second(store, issued.request, std::time(nullptr), ca::LastThird::counts);
  ca::add_issued(store, issued);
  transaction.commit();
}

// The agents that can open it, from the row as it stands in the archive now.
std::vector<std::string> agents_of(recovery::Archive& archive, const ca::Issued& issued) {
  const auto there = recovery::archived_key(archive, recovery::sha256_of(issued.certificate));
  if (!there.row) throw Error(Kind::mismatch, "read the archived key again: it is not there");
  std::vector<std::string> agents;
  for (const auto& agent : recovery::checked_certificates(archive, there.row->agents))
    agents.push_back(x509::certificate_facts(agent.get()).subject);
  return agents;
}

Outcome outcome_of(const ca::Issued& issued, const std::string& ca, recovery::Archive& archive,
                   const SubmissionOutput& output) {
  const auto agents = agents_of(archive, issued);
  Outcome outcome;
  outcome.data = issued_json(issued);
  outcome.data["ca"] = ca;
  outcome.data["sha256"] = sha256_hex(issued.certificate);
  outcome.data["agents"] = Json::array();
  for (const std::string& agent : agents) outcome.data["agents"].push_back(json_text(agent));
  if (!output.response.empty()) outcome.data["response"] = json_text(output.response);
  if (!output.p7b.empty()) outcome.data["p7b"] = json_text(output.p7b);
  if (output.certificate == "-") {
    const Bytes content = file_content(issued, SubmissionOutput{});
    outcome.data["pem"] = outcome.text = std::string(as_text(content));
    if (output.format == "der") outcome.raw = issued.certificate;
    return outcome;
  }
  outcome.text = fmt::format("{}: certificate {} for {}, until {}\n", printable(output.certificate),
                             hex(issued.serial), issued.subject, rfc3339(issued.not_after));
  for (const std::string& agent : agents)
    outcome.text += fmt::format("its private key is archived for {}\n", agent);
  if (!output.response.empty())
    outcome.text += fmt::format("{}: the CMC response\n", printable(output.response));
  if (!output.p7b.empty())
    outcome.text += fmt::format("{}: the certificate and its authority's\n", printable(output.p7b));
  return outcome;
}

// True when `path` is there and `is_it` finds that nothing needs to be written.
bool holds(const std::string& path, const std::function<bool(const Bytes&)>& is_it) {
  if (!fs::is_regular_file(path)) return false;
  try {
    return is_it(read_file(path));
  } catch (const Error&) {
    return false;
  }
}

void write_unless(const std::string& path, const Bytes& content, const Context& context,
                  const std::function<bool(const Bytes&)>& is_it) {
  if (path == "-" || path.empty() || holds(path, is_it)) return;
  check_output(path, context.replace());
  write_file(path, content, kPublicFile, context.replace());
}

}  // namespace

void check_submission_output(const SubmissionOutput& output, const Context& context) {
  if (output.certificate == "-" && output.format == "der" && context.options.json)
    throw Error(Kind::usage, "print a certificate in DER as JSON: that does not go together")
        .hint("name a file with -o");
  if (output.response == "-") throw Error(Kind::usage, "archive submit --response -: name a file");
  if (output.p7b == "-") throw Error(Kind::usage, "archive submit --p7b -: name a file");
  if (is_same_file(output.response, output.certificate) ||
      is_same_file(output.p7b, output.certificate) || is_same_file(output.p7b, output.response))
    throw Error(Kind::usage, "archive submit: two of its files have the same name");
}

void check_free_output(const SubmissionOutput& output, const Context& context) {
  check_output(output.certificate, context.replace());
  if (!output.response.empty()) check_output(output.response, context.replace());
  if (!output.p7b.empty()) check_output(output.p7b, context.replace());
}

std::string absolute_output(const SubmissionOutput& output) {
  if (output.certificate == "-") return "-";
  return fs::absolute(output.certificate).lexically_normal().string();
}

std::string archive_url(const recovery::Archive& archive) {
  constexpr std::string_view kSqlite = "sqlite:";
  const std::string name = archive.store->name();
  if (!name.starts_with(kSqlite)) return name;
  return std::string(kSqlite) +
         fs::absolute(name.substr(kSqlite.size())).lexically_normal().string();
}

std::optional<ca::Issued> issued_before(const Submission& asked, OpenAuthority& authority,
                                        recovery::Archive& archive) {
  auto issued = ca::issued_for_request(authority.store, asked.sha256);
  if (!issued || !issued->reason.empty() || issued->not_after < std::time(nullptr)) return {};
  const auto certificate = x509::certificate_from_der(issued->certificate, authority.store.path());
  if (recovery::is_archived(archive, certificate.get())) return issued;
  throw Error(
      Kind::exists,
      fmt::format("grant {}: it was granted at {} with the certificate {}, whose key is not "
                  "in the archive {}",
                  asked.name, rfc3339(issued->issued), hex(issued->serial), archive.store->name()))
      .hint(fmt::format("name the archive that has it with --archive, or have a new request made; "
                        "the certificate: hsmith ca show {} --ca {}",
                        hex(issued->serial), shell_word(asked.ca)));
}

Outcome archive_and_issue(const Archiving& work, const SubmissionOutput& output,
                          OpenAuthority& authority, recovery::Archive& archive,
                          Undertaking& undertaking, Context& context) {
  const Made made = make(work, output);
  const auto candidates = candidate_of(work, made, archive, context);
  const bool prints = output.certificate == "-";  // with the command's other output
  const auto prepare = [&](const std::string& file, const Bytes& content) -> std::function<void()> {
    if (content.empty()) return [] {};
    return prepare_file(file, content, kPublicFile, context.replace());
  };
  const auto release_response = prepare(output.response, made.response);
  const auto release_p7b = prepare(output.p7b, made.p7b);
  const auto release =
      prepare(output.certificate, prints ? Bytes{} : file_content(made.issued, output));
  const std::string sha256 = sha256_hex(made.issued.certificate);
  undertaking.know("certificate", sha256);
  undertaking.know("serial", hex(made.issued.serial));
  try {
    in_audit(context, archive.store->name(), {{"keys", Json::array({sha256})}}, [&] {
      recovery::archive_keys(archive, candidates, work.agents, work.seal, std::time(nullptr));
    });
    remember_archive(context, archive);
    record_issue(authority.store, made.issued);
    release();
    release_p7b();
    release_response();
    return outcome_of(made.issued, work.asked.ca, archive, output);
  } catch (const Error& error) {
    const std::string left = left_in(archive, made.certificate.get());
    if (left.empty()) throw;
    throw Error(error.kind(), fmt::format("{}; {}", error.what(), left))
        .hint(
            "run the same command again, or hsmith doctor --repair: the certificate is given "
            "then")
        .ckr(error.ckr())
        .unfinished();
  }
}

Outcome give_again(const Submission& asked, const ca::Issued& issued,
                   const SubmissionOutput& output, const ca::Signer& signer,
                   recovery::Archive& archive, Context& context) {
  const auto certificate = x509::certificate_from_der(issued.certificate, "the CA database");
  context.warn(fmt::format("the request was granted before, at {}: the same certificate is given",
                           rfc3339(issued.issued)));
  if (context.options.plan) return planned({});
  const Bytes content = file_content(issued, output);
  write_unless(output.certificate, content, context,
               [&](const Bytes& there) { return there == content; });
  const Bytes p7b = p7b_of(certificate.get(), signer.certificate);
  write_unless(output.p7b, p7b, context, [&](const Bytes& there) { return there == p7b; });
  if (!output.response.empty()) {
    write_unless(output.response, response_to(asked, certificate.get(), signer), context,
                 [&](const Bytes& there) {
                   const auto read = recovery::read_cmc_response(there, output.response);
                   return read.issued &&
                          x509::same_certificate(read.issued.get(), certificate.get()) &&
                          read.archived_key_hash == asked.request.archived_key->hash;
                 });
  }
  return outcome_of(issued, asked.ca, archive, output);
}

}  // namespace hsmith::cli
