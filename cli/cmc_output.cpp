#include "cli/cmc_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/text.h"
#include "src/recovery/cmc.h"
#include "src/x509/certificate.h"
#include "src/x509/request.h"

namespace hsmith::cli {
namespace {

Json controls_json(const std::vector<recovery::CmcControl>& controls) {
  Json json = Json::array();
  for (const auto& control : controls) {
    Json one{{"body_part", control.body_part}, {"oid", control.oid}};
    if (!control.name.empty()) one["name"] = control.name;
    json.push_back(std::move(one));
  }
  return json;
}

std::string controls_text(const std::vector<recovery::CmcControl>& controls) {
  std::vector<std::string> names;
  for (const auto& control : controls)
    names.push_back(control.name.empty() ? control.oid : control.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void add_line(std::string& text, const char* name, const std::string& value) {
  if (!value.empty()) text += fmt::format("{:<20} {}\n", name, value);
}

void add_archived_key(Outcome& outcome, const recovery::ArchivedKey& key) {
  const cms::EnvelopedData& envelope = key.envelope.data;
  const std::size_t size = cms::octets_size(envelope.content);
  const char* cipher = envelope.cipher.cipher->name;
  Json json{
      {"hash", hex(key.hash)}, {"cipher", cipher}, {"size", size}, {"recipients", Json::array()}};
  add_line(outcome.text, "archived key",
           fmt::format("{} bytes, {}, hash {}", size, cipher, hex(key.hash)));
  for (const auto& recipient : envelope.recipients) {
    Json one{{"encryption", recovery::ability_of(recipient)}};
    if (recipient.name.issuer.empty()) {
      one["key_identifier"] = hex(recipient.name.key_identifier);
    } else {
      one["issuer"] = json_text(cms::issuer_text(recipient));
      one["serial"] = hex(recipient.name.serial);
    }
    add_line(outcome.text, "  encrypted to", cms::name_text(recipient.name));
    json["recipients"].push_back(std::move(one));
  }
  outcome.data["archived_key"] = std::move(json);
}

Outcome show_request(const recovery::CmcRequest& request) {
  const auto facts = x509::request_facts(request.request.get());
  Outcome outcome;
  outcome.data = {{"type", "cmc_request"},
                  {"subject", json_text(facts.subject)},
                  {"key_type", facts.key_type},
                  {"public_key_sha256", facts.key_sha256},
                  {"digest", request.digest},
                  {"message_digest", request.message_digest},
                  {"controls", controls_json(request.controls)},
                  {"extensions", request.extensions},
                  {"attributes", request.attributes},
                  {"request_attributes", facts.attributes}};
  add_line(outcome.text, "type", "CMC request, signed by its own key: all of it verifies");
  add_line(outcome.text, "subject", facts.subject);
  add_line(outcome.text, "key", facts.key_type);
  add_line(outcome.text, "message digest", request.digest + " " + request.message_digest);
  add_line(outcome.text, "controls", controls_text(request.controls));
  add_line(outcome.text, "extensions", fmt::format("{}", fmt::join(request.extensions, ", ")));
  add_line(outcome.text, "attributes", fmt::format("{}", fmt::join(facts.attributes, ", ")));
  if (!request.registration.empty()) outcome.data["registration"] = request.registration;
  add_line(outcome.text, "registration", request.registration);
  if (request.client) {
    outcome.data["client"] = {{"id", request.client->id},
                              {"machine", json_text(request.client->machine)},
                              {"user", json_text(request.client->user)},
                              {"process", json_text(request.client->process)}};
    add_line(outcome.text, "client says",
             fmt::format("machine {}, user {}, process {}", printable(request.client->machine),
                         printable(request.client->user), printable(request.client->process)));
  }
  if (request.archived_key) add_archived_key(outcome, *request.archived_key);
  return outcome;
}

Outcome show_response(const recovery::CmcResponse& response) {
  Outcome outcome;
  outcome.data = {{"type", "cmc_response"},
                  {"status", response.status},
                  {"status_text", response.status_text},
                  {"signer", json_text(response.signer)},
                  {"digest", response.digest},
                  {"message_digest", response.message_digest},
                  {"controls", controls_json(response.controls)},
                  {"certificates", Json::array()}};
  add_line(outcome.text, "type", "CMC response, signed by its authority: all of it verifies");
  add_line(outcome.text, "status", fmt::format("{} {}", response.status, response.status_text));
  add_line(outcome.text, "authority", response.signer);
  add_line(outcome.text, "message digest", response.digest + " " + response.message_digest);
  add_line(outcome.text, "controls", controls_text(response.controls));
  for (const auto& certificate : response.certificates) {
    const auto facts = x509::certificate_facts(certificate.get());
    outcome.data["certificates"].push_back(
        {{"subject", json_text(facts.subject)}, {"sha256", facts.sha256}});
    add_line(outcome.text, "certificate", facts.subject);
  }
  if (response.issued) {
    const auto facts = x509::certificate_facts(response.issued.get());
    outcome.data["issued"] = {
        {"subject", json_text(facts.subject)}, {"serial", facts.serial}, {"sha256", facts.sha256}};
    add_line(outcome.text, "issued", fmt::format("{}, serial {}", facts.subject, facts.serial));
  }
  if (!response.archived_key_hash.empty()) {
    outcome.data["archived_key_hash"] = hex(response.archived_key_hash);
    add_line(outcome.text, "archived key's hash", hex(response.archived_key_hash));
  }
  return outcome;
}

}  // namespace

std::optional<Outcome> show_cmc(const Bytes& content, const std::string& file) {
  const Bytes ber = recovery::cmc_of(content, quoted(file));
  if (recovery::is_cmc_request(ber))
    return show_request(recovery::read_cmc_request(ber, quoted(file)));
  if (recovery::is_cmc_response(ber))
    return show_response(recovery::read_cmc_response(ber, quoted(file)));
  return std::nullopt;
}

}  // namespace hsmith::cli
