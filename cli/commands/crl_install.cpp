// hsmith crl install: revocation lists are verified, then kept for cert verify.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/crl_output.h"
#include "cli/kept_crls.h"
#include "cli/trust.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> files;
  TrustOptions trust;
};

struct List {
  ossl::Crl crl;
  x509::CrlFacts facts;
  fs::path place;
  std::vector<std::string> problems;
  bool kept = false;  // the very same list is there already
};

// Whoever can offer an older list could hide what a newer one says.
void refuse_step_back(const List& list, const fs::path& file) {
  const x509::CrlFacts facts = x509::crl_facts(read_crl_file(file.string()).front().get());
  if (facts.this_update <= list.facts.this_update) return;
  throw Error(
      Kind::refused,
      fmt::format("install the revocation list of {} of {}: a newer one is kept, of {}",
                  list.facts.issuer, rfc3339(list.facts.this_update), rfc3339(facts.this_update)))
      .hint("hsmith crl list shows what is kept");
}

std::vector<List> read_lists(const Options& options, const Trust& trust, const Context& context) {
  x509::PathOptions path;
  path.time = trust.time;
  std::vector<List> lists;
  for (const std::string& file : options.files) {
    for (ossl::Crl& crl : read_crl_file(file)) {
      List list{std::move(crl), {}, {}, {}};
      list.facts = x509::crl_facts(list.crl.get());
      list.problems = x509::crl_problems(list.crl.get(), trust.untrusted, trust.anchors, path);
      list.place = place_of(context.environment.state_folder, list.crl.get());
      if (list.problems.empty() && fs::exists(list.place)) {
        list.kept = equal(read_file(list.place.string()), x509::crl_der(list.crl.get()));
        if (!list.kept) refuse_step_back(list, list.place);
      }
      lists.push_back(std::move(list));
    }
  }
  return lists;
}

std::string describe(const List& list) {
  return fmt::format("the {} revocation list of {} of {}, {} entries", crl_kind(list.facts),
                     list.facts.issuer, rfc3339(list.facts.this_update), list.facts.entries);
}

void keep(const List& list) {
  const Bytes der = x509::crl_der(list.crl.get());
  make_private_folder(list.place.parent_path());
  write_file(list.place.string(), der, kPrivateFile, Replace::yes);
  if (!equal(read_file(list.place.string()), der)) {
    throw Error(Kind::io, fmt::format("install {}: {} holds something else", describe(list),
                                      quoted(list.place.string())));
  }
}

void report(const List& list, std::time_t time, Outcome& outcome) {
  const bool good = list.problems.empty();
  Json json = crl_json(list.crl.get(), list.facts, time);
  json["installed"] = good;
  json["problems"] = Json::array();
  for (const std::string& problem : list.problems) json["problems"].push_back(json_text(problem));
  if (good) json["file"] = json_text(list.place.string());
  outcome.data["crls"].push_back(std::move(json));
  const char* what = good ? (list.kept ? "kept already" : "installed") : "NOT installed";
  outcome.text += fmt::format("{}: {}\n", what, describe(list));
  for (const std::string& problem : list.problems) outcome.text += "  " + problem + "\n";
  if (!good) outcome.exit = 3;
}

Outcome run(const Options& options, Context& context) {
  const Trust trust = read_trust(options.trust, context);
  const std::vector<List> lists = read_lists(options, trust, context);
  if (context.options.plan) {
    std::vector<Change> changes;
    for (const List& list : lists) {
      if (list.problems.empty() && !list.kept)
        changes.push_back({Change::Kind::create, list.place.string() + ": " + describe(list)});
    }
    Outcome outcome = planned(changes);
    const bool good = std::all_of(lists.begin(), lists.end(),
                                  [](const List& list) { return list.problems.empty(); });
    outcome.exit = good ? 0 : 3;
    return outcome;
  }
  Outcome outcome;
  outcome.data["crls"] = Json::array();
  for (const List& list : lists) {
    if (list.problems.empty() && !list.kept) keep(list);
    report(list, trust.time, outcome);
  }
  return outcome;
}

}  // namespace

void add_crl_install(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->files, "Revocation lists: PEM, DER or PKCS#7").required();
  add_anchor_options(command, options->trust);
  command.footer(
      "Examples:\n  hsmith crl install root.crl --trust root.crt\n"
      "  hsmith crl install sub.crl --trust root.crt --untrusted sub.crt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
