#include "cli/pfx_file.h"

#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/passwords.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

std::optional<std::string> source_of(const PfxSources& sources, std::size_t index) {
  if (sources.passwords.empty()) return std::nullopt;
  if (sources.passwords.size() == 1) return sources.passwords.front();
  return sources.passwords[index];
}

std::string key_sha256(const EVP_PKEY* key) {
  return hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key)));
}

}  // namespace

void add_pfx_sources(Arguments& command, PfxSources& sources) {
  command.add_option("FILE", sources.files, "PKCS#12 files (.p12, .pfx)").required();
  command
      .add_option("--password-source", sources.passwords,
                  "Password: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt; one for all files, or "
                  "one for each")
      .one_each();
}

std::vector<OpenPfx> open_pfx_files(Context& context, const PfxSources& sources) {
  if (sources.passwords.size() > 1 && sources.passwords.size() != sources.files.size()) {
    throw Error(Kind::usage, fmt::format("{}: {} files have {} password sources", context.command,
                                         sources.files.size(), sources.passwords.size()))
        .hint("give --password-source once for all, or once for each file");
  }
  std::vector<OpenPfx> opened;
  for (std::size_t i = 0; i < sources.files.size(); ++i) {
    const std::string& file = sources.files[i];
    const Secret content = Secret::take(read_file(file, recovery::kPfxLimit));
    OpenPfx pfx;
    pfx.file = file;
    pfx.protection = recovery::pfx_protection(content.reveal(), quoted(file));
    const bool open = recovery::pfx_opens_without_password(content.reveal(), quoted(file));
    pfx.content =
        recovery::read_pfx(content.reveal(), quoted(file),
                           open ? Secret() : file_password(context, source_of(sources, i), file));
    if (open) context.warn(fmt::format("{} opens without a password", quoted(file)));
    opened.push_back(std::move(pfx));
  }
  return opened;
}

Json pfx_json(const OpenPfx& pfx) {
  Json json{{"file", json_text(pfx.file)}};
  if (!pfx.protection.mac.empty()) json["mac"] = pfx.protection.mac;
  json["encryption"] = pfx.protection.encryption;
  json["keys"] = Json::array();
  for (const auto& entry : pfx.content.keys) {
    Json key{{"type", ossl::key_type_name(entry.key.get())},
             {"public_key_sha256", key_sha256(entry.key.get())},
             {"certificates", Json::array()}};
    if (!entry.name.empty()) key["name"] = json_text(entry.name);
    for (const X509* certificate : recovery::certificates_of(pfx.content, entry.key.get()))
      key["certificates"].push_back(x509::certificate_sha256(const_cast<X509*>(certificate)));
    json["keys"].push_back(std::move(key));
  }
  json["certificates"] = Json::array();
  for (const auto& entry : pfx.content.certificates) {
    const auto facts = x509::certificate_facts(entry.certificate.get());
    Json certificate{{"subject", json_text(facts.subject)},
                     {"issuer", json_text(facts.issuer)},
                     {"serial", facts.serial},
                     {"not_after", rfc3339(facts.not_after)},
                     {"sha256", facts.sha256}};
    if (!entry.name.empty()) certificate["name"] = json_text(entry.name);
    json["certificates"].push_back(std::move(certificate));
  }
  return json;
}

std::string pfx_text(const OpenPfx& pfx) {
  std::string text = fmt::format("{}\n", printable(pfx.file));
  const auto& mac = pfx.protection.mac;
  text += fmt::format("  MAC          {}\n", mac.empty() ? "none" : mac);
  for (const std::string& encryption : pfx.protection.encryption)
    text += fmt::format("  encryption   {}\n", encryption);
  for (const auto& entry : pfx.content.keys) {
    const auto certificates = recovery::certificates_of(pfx.content, entry.key.get());
    text += fmt::format("  key          {}{}{}\n", ossl::key_type_name(entry.key.get()),
                        entry.name.empty() ? "" : " " + quoted(entry.name),
                        certificates.empty() ? ", no certificate of it here" : "");
  }
  for (const auto& entry : pfx.content.certificates) {
    const auto facts = x509::certificate_facts(entry.certificate.get());
    text += fmt::format("  certificate  {}, until {}, sha256 {}\n", facts.subject,
                        rfc3339(facts.not_after), facts.sha256);
  }
  return text;
}

}  // namespace hsmith::cli
