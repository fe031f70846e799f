#include "src/ca/crl.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/signing.h"
#include "src/x509/input.h"

namespace hsmith::ca {
namespace {

using ossl::check;
using ossl::check_ptr;

using Crl = std::unique_ptr<X509_CRL, ossl::Deleter<X509_CRL_free>>;
using Entry = std::unique_ptr<X509_REVOKED, ossl::Deleter<X509_REVOKED_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, ossl::Deleter<ASN1_INTEGER_free>>;
using Enumerated = std::unique_ptr<ASN1_ENUMERATED, ossl::Deleter<ASN1_ENUMERATED_free>>;
using Time = std::unique_ptr<ASN1_TIME, ossl::Deleter<ASN1_TIME_free>>;
using AuthorityKeyId = std::unique_ptr<AUTHORITY_KEYID, ossl::Deleter<AUTHORITY_KEYID_free>>;

Time time_from(std::time_t time) {
  return Time(check_ptr(ASN1_TIME_set(nullptr, time), "make a time"));
}

Integer integer_from(std::int64_t number) {
  Integer value(check_ptr(ASN1_INTEGER_new(), "make a number"));
  check(ASN1_INTEGER_set_int64(value.get(), number) == 1, "make a number");
  return value;
}

Integer serial_from(ByteView bytes) {
  const ossl::BigNumber number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return Integer(check_ptr(BN_to_ASN1_INTEGER(number.get(), nullptr), "make a serial number"));
}

void add_entry(X509_CRL* crl, const Revoked& revoked) {
  Entry entry(check_ptr(X509_REVOKED_new(), "make an entry"));
  const Integer serial = serial_from(revoked.serial);
  const Time time = time_from(revoked.time);
  check(X509_REVOKED_set_serialNumber(entry.get(), serial.get()) == 1 &&
            X509_REVOKED_set_revocationDate(entry.get(), time.get()) == 1,
        "make an entry");
  const int code = reason_code(revoked.reason);
  if (code != 0) {  // RFC 5280, 5.3.1: unspecified is not written
    const Enumerated reason(check_ptr(ASN1_ENUMERATED_new(), "make a reason"));
    check(ASN1_ENUMERATED_set(reason.get(), code) == 1 &&
              X509_REVOKED_add1_ext_i2d(entry.get(), NID_crl_reason, reason.get(), 0, 0) == 1,
          "make a reason");
  }
  check(X509_CRL_add0_revoked(crl, entry.get()) == 1, "add an entry");
  entry.release();
}

void add_extensions(X509_CRL* crl, const CrlPlan& plan, X509* issuer) {
  const AuthorityKeyId id(check_ptr(AUTHORITY_KEYID_new(), "make a key identifier"));
  id->keyid = ASN1_OCTET_STRING_dup(
      check_ptr(X509_get0_subject_key_id(issuer), "read the authority's key identifier"));
  const Integer number = integer_from(plan.number);
  check(X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, id.get(), 0, 0) == 1 &&
            X509_CRL_add1_ext_i2d(crl, NID_crl_number, number.get(), 0, 0) == 1,
        "add an extension");
  if (!plan.base) return;
  const Integer base = integer_from(*plan.base);
  check(X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base.get(), 1, 0) == 1, "add an extension");
}

Crl unsigned_crl(const CrlPlan& plan, X509* issuer) {
  Crl made(check_ptr(X509_CRL_new(), "make a list"));
  const Time now = time_from(plan.this_update);
  const Time next = time_from(plan.next_update);
  check(X509_CRL_set_version(made.get(), X509_CRL_VERSION_2) == 1 &&
            X509_CRL_set_issuer_name(made.get(), X509_get_subject_name(issuer)) == 1 &&
            X509_CRL_set1_lastUpdate(made.get(), now.get()) == 1 &&
            X509_CRL_set1_nextUpdate(made.get(), next.get()) == 1,
        "make a list");
  for (const Revoked& revoked : plan.entries) add_entry(made.get(), revoked);
  check(X509_CRL_sort(made.get()) == 1, "sort a list");
  add_extensions(made.get(), plan, issuer);
  return made;
}

Crl crl_from_der(ByteView der) {
  ossl::clear_errors();
  const unsigned char* at = der.data();
  Crl crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  check(crl != nullptr && at == der.data() + der.size(), "read the list that was signed");
  return crl;
}

// Every entry of the plan is on the list, and nothing else.
void check_entries(X509_CRL* crl, const CrlPlan& plan) {
  const int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));
  bool whole = static_cast<std::size_t>(std::max(count, 0)) == plan.entries.size();
  for (const Revoked& revoked : plan.entries) {
    const Integer serial = serial_from(revoked.serial);
    X509_REVOKED* found = nullptr;
    // 2: the entry releases the certificate.
    whole = whole && X509_CRL_get0_by_serial(crl, &found, serial.get()) > 0;
  }
  if (!whole) throw Error(Kind::mismatch, "check the list that was signed: it has other entries");
}

}  // namespace

CrlPlan plan_crl(Database& store, CrlKind kind, int generation, std::time_t now,
                 std::time_t next_update) {
  CrlPlan plan;
  plan.generation = generation;
  plan.this_update = now;
  plan.next_update = next_update;
  Statement last = store.prepare("SELECT coalesce(max(number), 0) FROM crl");
  const std::int64_t before = last.step() ? last.integer(0) : 0;
  // Seconds: an authority that was restored from an old backup gives no number a second time.
  plan.number = std::max<std::int64_t>(before + 1, now);
  std::optional<std::int64_t> since;
  if (kind == CrlKind::delta) {
    Statement base = store.prepare(
        "SELECT number, last_event FROM crl WHERE base IS NULL AND generation = ?"
        " ORDER BY number DESC LIMIT 1");
    base.bind(1, std::int64_t{generation});
    if (!base.step()) {
      throw Error(Kind::not_found, "make a delta list: there is no complete list that it adds to")
          .hint(fmt::format("make that first, without --delta: hsmith ca crl --ca {} -o FILE",
                            shell_word(read_settings(store).name)));
    }
    plan.base = base.integer(0);
    since = base.integer(1);
  }
  plan.entries = revoked(store, since);
  return plan;
}

void record_crl(Database& store, const CrlPlan& plan) {
  Statement row = store.prepare(
      "INSERT INTO crl (number, generation, base, this_update, next_update, last_event)"
      " VALUES (?, ?, ?, ?, ?, ?)");
  row.bind(1, plan.number).bind(2, std::int64_t{plan.generation}).bind_null(3);
  if (plan.base) row.bind(3, *plan.base);
  row.bind(4, std::int64_t{plan.this_update})
      .bind(5, std::int64_t{plan.next_update})
      .bind(6, last_event(store))
      .run();
}

Bytes sign_crl(const CrlPlan& plan, const Signer& signer) {
  const Crl made = unsigned_crl(plan, signer.certificate);
  EVP_PKEY* half = signer.key->public_key();
  const ossl::PKey key = ossl::as_pkey(signer.key);
  const ossl::DigestContext context =
      ossl::signing_context(key.get(), ossl::choose_scheme(half, "", ""));
  check(X509_CRL_sign_ctx(made.get(), context.get()) > 0, "sign the list", Kind::token_failed);
  Bytes der = ossl::der_of(i2d_X509_CRL, made.get());
  const Crl read = crl_from_der(der);
  const bool verifies = X509_CRL_verify(read.get(), half) == 1;
  ossl::clear_errors();
  if (!verifies)
    throw Error(Kind::mismatch, "check the list that was signed: its signature does not verify");
  check_entries(read.get(), plan);
  return der;
}

std::string crl_pem(ByteView der) { return x509::pem("X509 CRL", der); }

}  // namespace hsmith::ca
