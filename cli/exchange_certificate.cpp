#include "cli/exchange_certificate.h"

#include <ctime>
#include <fmt/format.h>

#include "cli/trust.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/recovery/agents.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"

namespace hsmith::cli {
namespace {

[[noreturn]] void refuse(Kind kind, const std::string& file, const std::string& cause) {
  throw Error(kind, fmt::format("encrypt a private key to {}: {}", quoted(file), cause))
      .hint(
          "get the exchange certificate in force from the authority: hsmith ca exchange-cert --ca "
          "NAME -o FILE");
}

// Another key of the same name must not do: the signature counts, not the name.
void check_issuer(const ExchangeCertificate& read, const std::string& file,
                  const std::string& authority_file) {
  const auto authority = x509::certificate_facts(read.authority.get());
  if (!authority.is_ca)
    throw Error(Kind::mismatch, fmt::format("trust {}: it is not the certificate of an authority",
                                            quoted(authority_file)));
  ossl::clear_errors();
  const bool signed_by =
      X509_verify(read.exchange.get(), x509::public_key_of(read.authority.get())) == 1;
  ossl::clear_errors();
  if (!signed_by || X509_NAME_cmp(X509_get_issuer_name(read.exchange.get()),
                                  X509_get_subject_name(read.authority.get())) != 0) {
    refuse(Kind::mismatch, file,
           fmt::format("it is not signed by the key of {}", quoted(authority_file)));
  }
}

void check_path(const ExchangeCertificate& read, const std::string& file, Context& context) {
  x509::PathOptions options;
  options.time = std::time(nullptr);
  options.partial_chain = true;
  options.revocation = x509::Revocation::if_known;
  const auto lists = known_crls(context);
  const x509::Verdict verdict =
      x509::verify_path(read.exchange.get(), {}, {&read.authority, 1}, options, lists);
  if (!verdict.ok) {
    refuse(Kind::refused, file,
           verdict.problems.empty() ? "no path leads to the authority"
                                    : verdict.problems.front().reason);
  }
  if (!verdict.revocation_checked)
    context.warn(
        "revocation of the exchange certificate: not checked; hsmith crl install takes "
        "the authority's list");
}

}  // namespace

ExchangeCertificate read_exchange_certificate(const std::string& exchange_file,
                                              const std::string& authority_file, Context& context) {
  ExchangeCertificate read;
  read.exchange = x509::read_certificate(read_file(exchange_file), quoted(exchange_file));
  read.authority = x509::read_certificate(read_file(authority_file), quoted(authority_file));
  check_issuer(read, exchange_file, authority_file);
  const std::string unsuitable = recovery::unsuitable_because(read.exchange.get(), "caExchange");
  if (!unsuitable.empty()) refuse(Kind::refused, exchange_file, unsuitable);
  check_path(read, exchange_file, context);
  return read;
}

}  // namespace hsmith::cli
