#include "tokens/proof.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "hsmith key prove v1";
constexpr std::size_t kMostAttacks = 10'000;

Json names_and_values(const std::vector<std::pair<std::string, std::string>>& all) {
  Json json = Json::object();
  for (const auto& [name, value] : all) json[name] = value;
  return json;
}

std::vector<std::pair<std::string, std::string>> names_and_values(const Json& json) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [name, value] : json.items()) all.emplace_back(name, value.get<std::string>());
  return all;
}

Json attack_json(const Attack& attack) {
  Json json{{"kind", attack.kind}, {"with", attack.with}, {"result", result_name(attack.result)}};
  if (!attack.ckr.empty()) json["ckr"] = attack.ckr;
  if (!attack.note.empty()) json["note"] = attack.note;
  return json;
}

Attack attack_of(const Json& json) {
  Attack attack;
  attack.kind = json.at("kind").get<std::string>();
  attack.with = json.at("with").get<std::string>();
  const auto result = json.at("result").get<std::string>();
  for (const AttackResult one : {AttackResult::refused, AttackResult::worked, AttackResult::rubbish,
                                 AttackResult::not_tested}) {
    if (result == result_name(one)) attack.result = one;
  }
  attack.ckr = json.value("ckr", "");
  attack.note = json.value("note", "");
  return attack;
}

Bytes bytes_of(const Json& json) { return parse_hex(json.get<std::string>()).value_or(Bytes{}); }

Proof proof_of(const Json& json) {
  Proof proof;
  proof.made = json.at("made").get<std::string>();
  proof.program = json.at("program").get<std::string>();
  proof.uri = json.at("key").at("uri").get<std::string>();
  proof.type = json.at("key").at("type").get<std::string>();
  proof.public_key = bytes_of(json.at("key").at("public_key"));
  proof.token = names_and_values(json.at("token"));
  proof.module = names_and_values(json.at("module"));
  for (const auto& [name, value] : json.at("attributes").items())
    proof.attributes.emplace_back(name, value.get<bool>());
  for (const Json& attack : json.at("attacks")) proof.attacks.push_back(attack_of(attack));
  proof.objects = json.at("objects").get<std::size_t>();
  for (const Json& certificate : json.at("attestation"))
    proof.attestation.push_back(bytes_of(certificate));
  return proof;
}

struct Count {
  std::size_t refused = 0;
  std::size_t rubbish = 0;
  std::vector<std::string> worked;
  std::size_t all = 0;
};

Count count_of(const Proof& proof, std::initializer_list<std::string_view> kinds) {
  Count count;
  for (const Attack& attack : proof.attacks) {
    if (std::find(kinds.begin(), kinds.end(), attack.kind) == kinds.end()) continue;
    ++count.all;
    if (attack.result == AttackResult::refused) ++count.refused;
    if (attack.result == AttackResult::rubbish) ++count.rubbish;
    if (attack.result == AttackResult::worked)
      count.worked.push_back(fmt::format("{} {}", attack.kind, attack.with));
  }
  return count;
}

// Of what lets a key out when it works.
Count ways_out(const Proof& proof) {
  return count_of(proof, {"read", "wrap", "unwrap", "copy", "set"});
}

std::string first_of(const std::vector<std::string>& worked) {
  return worked.size() == 1 ? worked[0] + " worked"
                            : fmt::format("{} and {} more worked", worked[0], worked.size() - 1);
}

// By attempts; where none could be made, or where the token answered rubbish, by what it says.
Fact tested_fact(const Proof& proof, const char* name,
                 std::initializer_list<std::string_view> kinds, Claim claim) {
  const Count count = count_of(proof, kinds);
  if (!count.worked.empty()) return {name, FactState::refuted, first_of(count.worked)};
  if (count.refused != 0 && count.rubbish == 0)
    return {name, FactState::tested,
            fmt::format("{} of {} attempts were refused, none worked", count.refused, count.all)};
  const std::string why =
      count.rubbish == 0
          ? "it could not be tried"
          : fmt::format("{} of {} attempts gave what is not this key", count.rubbish, count.all);
  if (claim == true) return {name, FactState::claimed, "the token says so; " + why};
  return {name, FactState::not_tested, why};
}

// `local` is CKA_LOCAL: of a key that was made elsewhere no token knows what it was there, whatever
// it says (PKCS#11 2.40, 4.9; openCryptoki 3.8 and ykcs11 2.2 say "always" and "never" of it).
Fact claimed_fact(const char* name, Claim claim, Claim local) {
  if (claim == true && local == false)
    return {name, FactState::not_claimed,
            "the token says so, and that the key was not made in it: it cannot know"};
  if (claim == true) return {name, FactState::claimed, "the token says so"};
  return {name, FactState::not_claimed, claim ? "the token says no" : "the token says nothing"};
}

bool is_for_backup(const Proof& proof) {
  return claim_named(proof.attributes, "extractable") == true &&
         claim_named(proof.attributes, "sensitive") == true &&
         claim_named(proof.attributes, "wrap_with_trusted") == true;
}

std::string extractable_text(const Proof& proof) {
  return is_for_backup(proof) ? "it may be wrapped out under a trusted key, as one for backups"
                              : "the token says that it may be extracted";
}

}  // namespace

std::string report_text(const Proof& proof) {
  Json json{
      {"format", kFormat},
      {"made", proof.made},
      {"program", proof.program},
      {"key", {{"uri", proof.uri}, {"type", proof.type}, {"public_key", hex(proof.public_key)}}},
      {"token", names_and_values(proof.token)},
      {"module", names_and_values(proof.module)}};
  json["attributes"] = Json::object();
  for (const auto& [name, value] : proof.attributes) json["attributes"][name] = value;
  json["attacks"] = Json::array();
  for (const Attack& attack : proof.attacks) json["attacks"].push_back(attack_json(attack));
  json["objects"] = proof.objects;
  json["attestation"] = Json::array();
  for (const Bytes& certificate : proof.attestation)
    json["attestation"].push_back(hex(certificate));
  return json.dump();
}

Proof parse_report(std::string_view text, const std::string& input) {
  Proof proof;
  try {
    const Json json = parse_json(text);
    if (json.at("format").get<std::string>() == kFormat) proof = proof_of(json);
    if (proof.attacks.size() <= kMostAttacks && !proof.attacks.empty() &&
        report_text(proof) == text)
      return proof;
  } catch (const nlohmann::json::exception&) {  // what is wrong is said below
  }
  throw Error(Kind::malformed,
              fmt::format("read {}: this is not a report as hsmith key prove writes it", input));
}

const char* state_name(FactState state) {
  switch (state) {
    case FactState::tested:
      return "tested";
    case FactState::claimed:
      return "claimed";
    case FactState::not_claimed:
      return "not_claimed";
    case FactState::not_tested:
      return "not_tested";
    default:
      return "refuted";
  }
}

std::vector<Fact> facts_of(const Proof& proof) {
  const Claim extractable = claim_named(proof.attributes, "extractable");
  const Claim local = claim_named(proof.attributes, "local");
  Fact wrapped = tested_fact(proof, "cannot_be_wrapped_out", {"wrap", "unwrap"},
                             extractable ? Claim(!*extractable) : Claim());
  if (extractable == true && wrapped.state != FactState::refuted)
    wrapped = {wrapped.name, FactState::refuted, extractable_text(proof)};
  return {
      tested_fact(proof, "value_cannot_be_read", {"read"},
                  claim_named(proof.attributes, "sensitive")),
      wrapped,
      tested_fact(proof, "cannot_be_weakened", {"copy", "set"}, std::nullopt),
      tested_fact(proof, "use_cannot_be_widened", {"widen"}, std::nullopt),
      claimed_fact("made_on_the_token", local, local),
      claimed_fact("never_extractable", claim_named(proof.attributes, "never_extractable"), local),
      claimed_fact("always_sensitive", claim_named(proof.attributes, "always_sensitive"), local)};
}

bool leaves_for_backups_only(const Proof& proof) {
  return ways_out(proof).worked.empty() && is_for_backup(proof);
}

std::string way_out(const Proof& proof) {
  const Count count = ways_out(proof);
  if (!count.worked.empty()) return first_of(count.worked);
  if (claim_named(proof.attributes, "extractable") == true) return extractable_text(proof);
  if (claim_named(proof.attributes, "sensitive") == false && count_of(proof, {"read"}).refused == 0)
    return "the token says that its value may be read";
  return "";
}

}  // namespace hsmith::tokens
