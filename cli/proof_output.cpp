#include "cli/proof_output.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/sha256.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Json names_and_values(const std::vector<std::pair<std::string, std::string>>& all) {
  Json json = Json::object();
  for (const auto& [name, value] : all) json[name] = json_text(value);
  return json;
}

Json attacks_json(const tokens::Proof& proof) {
  Json list = Json::array();
  for (const tokens::Attack& attack : proof.attacks) {
    Json one{{"kind", attack.kind},
             {"with", attack.with},
             {"result", tokens::result_name(attack.result)}};
    if (!attack.ckr.empty()) one["ckr"] = attack.ckr;
    if (!attack.note.empty()) one["note"] = attack.note;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

std::string state_words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string state_text(tokens::FactState state) { return state_words(tokens::state_name(state)); }

Json proof_json(const tokens::Proof& proof) {
  Json json{{"key", proof.uri},
            {"type", proof.type},
            {"public_key_sha256", sha256_hex(proof.public_key)},
            {"token", names_and_values(proof.token)},
            {"module", names_and_values(proof.module)},
            {"made", proof.made}};
  json["attributes"] = Json::object();
  for (const auto& [name, value] : proof.attributes) json["attributes"][name] = value;
  json["facts"] = Json::array();
  for (const tokens::Fact& fact : tokens::facts_of(proof)) {
    json["facts"].push_back(
        {{"name", fact.name}, {"state", tokens::state_name(fact.state)}, {"text", fact.text}});
  }
  json["attacks"] = attacks_json(proof);
  const std::string way = tokens::way_out(proof);
  json["could_leave"] = !way.empty();
  if (!way.empty()) json["way_out"] = way;
  return json;
}

std::string proof_text(const tokens::Proof& proof) {
  std::string text =
      fmt::format("{:<18} {}\n{:<18} {}\n{:<18} {}\n", "key", printable(proof.uri), "type",
                  printable(proof.type), "public key", "sha256 " + sha256_hex(proof.public_key));
  for (const auto& [name, value] : proof.token)
    text += fmt::format("{:<18} {}\n", "token " + printable(name), printable(value));
  text += fmt::format("{:<18} {}\n\n", "made", printable(proof.made));
  std::vector<std::vector<std::string>> rows;
  for (const tokens::Fact& fact : tokens::facts_of(proof))
    rows.push_back({state_words(fact.name), state_text(fact.state), printable(fact.text)});
  return text + table({"FACT", "STATE", "WHY"}, rows) + "\n";
}

}  // namespace hsmith::cli
