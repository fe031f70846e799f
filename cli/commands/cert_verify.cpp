// hsmith cert verify: path validation, every path shown.
#include <CLI/CLI.hpp>
#include <ctime>
#include <fmt/format.h>

#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/path.h"

namespace hsmith::cli {
namespace {

using ossl::Certificate;

// Debian's bundle of the system's anchors (package ca-certificates).
constexpr char kSystemAnchors[] = "/etc/ssl/certs/ca-certificates.crt";

struct Options {
  std::vector<std::string> files;
  std::vector<std::string> untrusted;
  std::vector<std::string> trust;
  std::string purpose = "any";
  std::string at;
  x509::PathOptions path;
};

std::vector<Certificate> read_all(const std::vector<std::string>& files) {
  std::vector<Certificate> all;
  for (const std::string& file : files) {
    for (Certificate& certificate : x509::read_certificates(read_file(file), quoted(file)))
      all.push_back(std::move(certificate));
  }
  return all;
}

std::vector<Certificate> anchors_of(const Options& options, const Context& context) {
  const std::vector<std::string>& files =
      options.trust.empty() ? context.config.trust_anchors : options.trust;
  if (files.empty()) {
    throw Error(Kind::usage, "cert verify: nothing is trusted")
        .hint("add --trust FILE, --trust system, or [trust] anchors in the configuration");
  }
  std::vector<Certificate> anchors;
  for (const std::string& file : files) {
    const std::string path = file == "system" ? kSystemAnchors : file;
    for (Certificate& anchor : x509::read_anchors(read_file(path), quoted(path)))
      anchors.push_back(std::move(anchor));
  }
  return anchors;
}

Json path_json(const std::vector<Certificate>& chain,
               const std::vector<x509::PathProblem>& problems) {
  Json json{{"chain", Json::array()}, {"problems", Json::array()}};
  for (const Certificate& certificate : chain) {
    json["chain"].push_back(
        {{"subject", json_text(x509::name_text(X509_get_subject_name(certificate.get())))},
         {"sha256", x509::certificate_sha256(certificate.get())}});
  }
  for (const auto& problem : problems) {
    json["problems"].push_back({{"depth", problem.depth},
                                {"subject", json_text(problem.subject)},
                                {"reason", json_text(problem.reason)}});
  }
  return json;
}

std::string path_text(const std::vector<Certificate>& chain,
                      const std::vector<x509::PathProblem>& problems) {
  std::string text;
  for (std::size_t depth = 0; depth < chain.size(); ++depth) {
    text +=
        fmt::format("  {} {}\n", depth, x509::name_text(X509_get_subject_name(chain[depth].get())));
  }
  for (const auto& problem : problems)
    text += fmt::format("  at {}: {}: {}\n", problem.depth, problem.subject, problem.reason);
  return text;
}

// One file: its first certificate is the one under test, what follows in it may serve as chain.
void verify_file(const std::string& file, const Options& options, const x509::PathOptions& path,
                 const std::vector<Certificate>& anchors, Outcome& outcome) {
  std::vector<Certificate> certificates = x509::read_certificates(read_file(file), quoted(file));
  const Certificate leaf = std::move(certificates.front());
  certificates.erase(certificates.begin());
  for (Certificate& other : read_all(options.untrusted)) certificates.push_back(std::move(other));
  const x509::Verdict verdict = x509::verify_path(leaf.get(), certificates, anchors, path);
  if (!verdict.ok && outcome.exit == 0) outcome.exit = 3;
  Json json = path_json(verdict.chain, verdict.problems);
  json["file"] = json_text(file);
  json["ok"] = verdict.ok;
  json["revocation_checked"] = verdict.revocation_checked;
  json["other_paths"] = Json::array();
  outcome.text += fmt::format("{}: {}\n{}", printable(file), verdict.ok ? "good" : "NOT GOOD",
                              path_text(verdict.chain, verdict.problems));
  for (const x509::Path& other : verdict.other_paths) {
    json["other_paths"].push_back(path_json(other.chain, other.problems));
    outcome.text += "  another path, not good:\n" + path_text(other.chain, other.problems);
  }
  if (!verdict.revocation_checked) outcome.text += "  revocation: not checked\n";
  outcome.data["certificates"].push_back(std::move(json));
}

Outcome run(const Options& options, Context& context) {
  x509::PathOptions path = options.path;
  path.purpose = x509::purpose_named(options.purpose);
  path.time = std::time(nullptr);
  if (!options.at.empty()) {
    const auto time = parse_time(options.at);
    if (!time)
      throw Error(Kind::usage, fmt::format("--at {}: not a time", quoted(options.at)))
          .hint("write it as 2026-03-15T12:00:00Z");
    path.time = *time;
  }
  const std::vector<Certificate> anchors = anchors_of(options, context);
  Outcome outcome;
  outcome.data["certificates"] = Json::array();
  for (const std::string& file : options.files) verify_file(file, options, path, anchors, outcome);
  return outcome;
}

}  // namespace

void add_cert_verify(CLI::App& command, Context& context) {
  auto options = std::make_shared<Options>();
  auto& path = options->path;
  command
      .add_option("FILE", options->files,
                  "Certificates, the one to verify first; - is standard input")
      ->required();
  command.add_option("--trust", options->trust, "File of trusted roots, or system")
      ->allow_extra_args(false);
  command.add_option("--untrusted", options->untrusted, "File of intermediates")
      ->allow_extra_args(false);
  command.add_option("--purpose", options->purpose,
                     "server, client, email, kra, codesign, timestamp, any (default any)");
  command.add_option("--host", path.host, "The certificate must be good for this host name");
  command.add_option("--ip", path.ip, "The certificate must be good for this address");
  command.add_option("--email", path.emails, "The certificate must be good for this mailbox")
      ->allow_extra_args(false);
  command.add_option("--at", options->at, "Time of the check, RFC 3339 (default: now)");
  command.add_option("--max-depth", path.max_depth,
                     "Intermediates allowed between root and certificate");
  command.add_flag("--partial-chain", path.partial_chain,
                   "A trusted certificate need not be self-signed");
  command.add_flag("--strict", path.strict, "RFC 5280 to the letter");
  command.add_option("--security-level", path.security_level, "As OpenSSL counts: 0 to 5")
      ->check(CLI::Range(0, 5));
  command.add_option("--policy", path.policies, "Acceptable certificate policy (OID)")
      ->allow_extra_args(false);
  command.add_flag("--explicit-policy", path.explicit_policy, "RFC 5280, 6.1.1 (f)");
  command.add_flag("--inhibit-mapping", path.inhibit_mapping, "RFC 5280, 6.1.1 (e)");
  command.add_flag("--inhibit-any", path.inhibit_any, "RFC 5280, 6.1.1 (g)");
  command.footer(
      "Examples:\n  hsmith cert verify web.crt --untrusted sub.crt --trust root.crt --purpose "
      "server --host www.example.com\n"
      "  hsmith cert verify web.crt --trust root.crt --at 2027-01-01 --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
