#include "cli/probe_cycles.h"

#include <fmt/format.h>
#include <openssl/cms.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/decrypt.h"
#include "src/cms/enveloped_data.h"
#include "src/ossl/check.h"
#include "src/recovery/private_key.h"
#include "src/x509/name.h"
#include "src/x509/request.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

using tokens::ProbeRow;
using tokens::SessionPair;
using tokens::Use;
using CmsMessage = std::unique_ptr<CMS_ContentInfo, ossl::Deleter<CMS_ContentInfo_free>>;

const std::vector<std::string> kGoals{"sign", "csr", "cms-decrypt", "kra", "backup"};

// A certificate for the session key, by a throwaway authority: CMS names recipients by it.
ossl::Certificate certificate_for(EVP_PKEY* key) {
  const ossl::PKey authority(
      ossl::check_ptr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), "make a key"));
  ossl::Certificate made(X509_new());
  X509_NAME* name = X509_get_subject_name(made.get());
  const auto* text = reinterpret_cast<const unsigned char*>("hsmith probe");
  ossl::check(X509_set_version(made.get(), X509_VERSION_3) == 1 &&
                  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1) == 1 &&
                  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
                  X509_set_issuer_name(made.get(), name) == 1 &&
                  X509_gmtime_adj(X509_getm_notBefore(made.get()), 0) != nullptr &&
                  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600) != nullptr &&
                  X509_set_pubkey(made.get(), key) == 1 &&
                  X509_sign(made.get(), authority.get(), EVP_sha256()) > 0,
              "make a certificate for a probe");
  return made;
}

// EnvelopedData by OpenSSL, as other programs make it.
Bytes message_for(X509* certificate, ByteView content, bool oaep) {
  const ossl::Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  const CmsMessage message(
      CMS_encrypt(nullptr, nullptr, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL));
  CMS_RecipientInfo* recipient =
      CMS_add1_recipient_cert(message.get(), certificate, CMS_BINARY | (oaep ? CMS_KEY_PARAM : 0u));
  ossl::check(recipient != nullptr, "address a message for a probe");
  if (oaep) {
    EVP_PKEY_CTX* context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
    ossl::check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
                "address a message for a probe");
  }
  ossl::check(CMS_final(message.get(), bio.get(), nullptr, CMS_BINARY) == 1,
              "encrypt a message for a probe");
  return ossl::der_of(i2d_CMS_ContentInfo, message.get());
}

bool opens_message(const SessionPair& pair, ByteView content, bool oaep) {
  const ossl::Certificate certificate = certificate_for(pair.remote->public_key());
  const Bytes der = message_for(certificate.get(), content, oaep);
  const cms::EnvelopedData message =
      cms::read_enveloped_data(cms::read_content_info(der, "the probe"), "the probe");
  Bytes opened = cms::decrypt(message, message.recipients.at(0), *pair.remote, "the probe");
  const bool same = equal(opened, content);
  wipe(opened.data(), opened.size());
  return same;
}

bool makes_request(const SessionPair& pair) {
  x509::RequestSpec spec;
  spec.subject = x509::parse_name("CN=hsmith probe");
  const x509::MadeRequest made =
      x509::make_request(spec, pair.remote, ossl::choose_scheme(pair.remote->public_key(), "", ""));
  return x509::request_signature_ok(made.read.get());
}

bool signs(const SessionPair& pair) {
  const ossl::Scheme scheme = ossl::choose_scheme(pair.remote->public_key(), "", "");
  const Bytes input = scheme.digest != nullptr ? ossl::digest(*scheme.digest, as_bytes("probe"))
                                               : to_bytes(as_bytes("probe"));
  return ossl::verify(pair.remote->public_key(), scheme, input, pair.remote->sign(scheme, input));
}

// One row a type: the key made, and what `work` does with it.
template <typename Work>
ProbeRow cycle(const tokens::Probe& probe, const std::string& what, const char* type,
               std::set<Use> uses, Work work) {
  return tokens::probe_row(
      probe, fmt::format("{} with {}", what, type), "take another type of key",
      [&] { return work(tokens::make_session_pair(probe, type, std::move(uses))); });
}

// A user's key, encrypted to an agent and opened by it.
bool recovers_key(const SessionPair& agent, bool oaep) {
  const ossl::PKey user(
      ossl::check_ptr(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}), "make a key"));
  return opens_message(agent, recovery::private_key_der(user.get()).reveal(), oaep);
}

}  // namespace

void check_probe_goal(const std::string& goal) {
  for (const std::string& known : kGoals) {
    if (goal == known) return;
  }
  const auto near = did_you_mean(goal, kGoals);
  throw Error(Kind::usage, fmt::format("--for {}: there is no such cycle", quoted(goal)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : "cycles are sign, csr, cms-decrypt, kra and backup");
}

std::vector<ProbeRow> probe_cycle(const std::string& goal, const tokens::Probe& probe) {
  std::vector<ProbeRow> rows;
  const auto add = [&](const std::string& what, const char* type, std::set<Use> uses, auto work) {
    rows.push_back(cycle(probe, what, type, std::move(uses), work));
  };
  if (goal == "backup") return tokens::probe_backup(probe);
  if (goal == "sign") {
    for (const char* type : {"rsa:2048", "ec:p256", "ec:p384", "ed25519"})
      add("a verified signature", type, {Use::sign}, signs);
  } else if (goal == "csr") {
    for (const char* type : {"rsa:2048", "ec:p256"})
      add("a verified request", type, {Use::sign}, makes_request);
    add("a verified request by a key that decrypts", "rsa:2048", {Use::decrypt},
        [&](const SessionPair& pair) {
          return makes_request(
              {pair.key, tokens::remote_key(probe.token, pair.key, tokens::Signing::own_request)});
        });
  } else {
    const bool kra = goal == "kra";
    const std::string what = kra ? "a key recovered, " : "a message opened, ";
    for (const bool oaep : {false, true}) {
      add(what + (oaep ? "OAEP," : "PKCS#1 v1.5,"), "rsa:2048", {Use::decrypt},
          [&](const SessionPair& pair) {
            return kra ? recovers_key(pair, oaep) : opens_message(pair, as_bytes("probe"), oaep);
          });
    }
    if (!kra) {
      add(what + "ECDH,", "ec:p256", {Use::derive},
          [](const SessionPair& pair) { return opens_message(pair, as_bytes("probe"), false); });
    }
  }
  return rows;
}

}  // namespace hsmith::cli
