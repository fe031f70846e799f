#include "src/x509/path_rules.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/objects.h>

#include "src/base/contains.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/extensions.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostProblems = 64;
constexpr int kLongestSerial = 20;  // octets; RFC 5280, 4.1.2.2

using NameConstraints = std::unique_ptr<NAME_CONSTRAINTS, ossl::Deleter<NAME_CONSTRAINTS_free>>;

// One certificate of the path with what it says.
struct Link {
  int depth = 0;
  X509* certificate = nullptr;
  bool anchor = false;
  ExtensionFacts facts;
};

bool allows(const std::vector<std::string>& list, std::string_view wanted) {
  return list.empty() || contains(list, wanted);
}
bool has_extension(const Link& link, int nid) {
  return X509_get_ext_by_NID(link.certificate, nid, -1) >= 0;
}
// OpenSSL's "TRUSTED CERTIFICATE": it says what it is trusted or mistrusted for.
bool has_trust_settings(const Link& link) {
  return X509_get0_trust_objects(link.certificate) != nullptr ||
         X509_get0_reject_objects(link.certificate) != nullptr;
}
bool is_self_issued(const X509* certificate) {
  return same_name(X509_get_subject_name(certificate), X509_get_issuer_name(certificate));
}

std::vector<Link> links_of(Path& path) {
  std::vector<Link> links;
  for (const ossl::Certificate& certificate : path.chain) {
    Link link{static_cast<int>(links.size()), certificate.get(), false, {}};
    try {
      link.facts = read_extensions(X509_get0_extensions(certificate.get()));
    } catch (const Error& error) {
      add_problem(path.problems, link.depth, certificate.get(), error.what());
    }
    links.push_back(std::move(link));
  }
  if (!links.empty()) links.back().anchor = true;
  return links;
}

// Where OpenSSL has no such purpose: the leaf must name it, an authority may name none or any
// (RFC 5280, 4.2.1.12).
void check_usage(Path& path, const std::vector<Link>& links, std::string_view purpose,
                 const std::vector<std::string>& key_usages) {
  for (const Link& link : links) {
    const auto& purposes = link.facts.extended_key_usage;
    const bool authority = link.depth > 0;
    const bool ok =
        contains(purposes, purpose) || (authority && allows(purposes, "anyExtendedKeyUsage"));
    if (!ok) {
      add_problem(path.problems, link.depth, link.certificate,
                  fmt::format("its extended key usage has not {}", purpose));
    }
    const bool usable = std::any_of(key_usages.begin(), key_usages.end(), [&](const auto& usage) {
      return allows(link.facts.key_usage, usage);
    });
    if (!authority && !usable) {
      add_problem(path.problems, link.depth, link.certificate,
                  fmt::format("its key usage has not {}", fmt::join(key_usages, " or ")));
    }
  }
}

// An e-mail certificate signs, decrypts, or does both.
void check_email_usage(Path& path, const std::vector<Link>& links) {
  for (const Link& link : links) {
    const int authority = link.depth > 0 ? 1 : 0;
    const bool ok =
        X509_check_purpose(link.certificate, X509_PURPOSE_SMIME_SIGN, authority) == 1 ||
        X509_check_purpose(link.certificate, X509_PURPOSE_SMIME_ENCRYPT, authority) == 1;
    if (!ok) add_problem(path.problems, link.depth, link.certificate, "it is not for e-mail");
  }
}

void check_purpose(Path& path, const std::vector<Link>& links, Purpose purpose) {
  if (purpose == Purpose::email) check_email_usage(path, links);
  if (purpose == Purpose::codesign) {
    check_usage(path, links, "codeSigning", {"digitalSignature"});
  }
  if (purpose == Purpose::kra) {
    check_usage(path, links, "kra", {"keyEncipherment", "keyAgreement"});
  }
}

void check_emails(Path& path, X509* leaf, const std::vector<std::string>& emails) {
  for (const std::string& email : emails) {
    if (X509_check_email(leaf, email.data(), email.size(), 0) != 1) {
      add_problem(path.problems, 0, leaf, fmt::format("it is not good for {}", quoted(email)));
    }
  }
}

// Self-issued certificates do not count (RFC 5280, 6.1.4 (l)); OpenSSL counts them.
void check_depth(Path& path, const std::vector<Link>& links, int most) {
  int count = 0;
  for (const Link& link : links) {
    const bool intermediate = link.depth > 0 && !link.anchor;
    if (intermediate && !is_self_issued(link.certificate) && ++count > most) {
      add_problem(path.problems, link.depth, link.certificate,
                  fmt::format("more than {} intermediate certificates", most));
    }
  }
}

// A wildcard may match a host that the authority must not vouch for: "*.example.com" passes the
// exclusion of bar.example.com and yet covers it. So the host itself is checked too.
void check_host_constraints(Path& path, const std::vector<Link>& links, const std::string& host) {
  const ossl::Certificate stand_in(ossl::check_ptr(X509_new(), "make a certificate"));
  const AltName name{AltNameKind::dns, host};
  const ossl::GeneralNames names = general_names({&name, 1});
  ossl::check(X509_add1_ext_i2d(stand_in.get(), NID_subject_alt_name, names.get(), 0, 0) == 1,
              "make a certificate");
  X509_check_purpose(stand_in.get(), -1, 0);  // makes OpenSSL read the name
  for (const Link& link : links) {
    const NameConstraints constraints(static_cast<NAME_CONSTRAINTS*>(
        X509_get_ext_d2i(link.certificate, NID_name_constraints, nullptr, nullptr)));
    if (link.depth > 0 && constraints != nullptr &&
        NAME_CONSTRAINTS_check(stand_in.get(), constraints.get()) != X509_V_OK) {
      add_problem(path.problems, link.depth, link.certificate,
                  fmt::format("it may not vouch for the host {}", quoted(host)));
    }
  }
}

bool is_well_formed(const AltName& name) {
  if (name.kind == AltNameKind::email) {
    const std::size_t at = name.value.find('@');
    return at != std::string::npos && at != 0 && at + 1 < name.value.size() &&
           name.value.find('@', at + 1) == std::string::npos;
  }
  if (name.kind != AltNameKind::dns) return true;
  const std::string domain = name.value.rfind("*.", 0) == 0 ? name.value.substr(2) : name.value;
  const auto labels = split(domain, '.');
  return !labels.empty() && std::all_of(labels.begin(), labels.end(), [](const std::string& one) {
    // '_' is no host name and yet common in service names.
    return !one.empty() && one.size() <= 63 &&
           lower(one).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") ==
               std::string::npos;
  });
}

// A name that is no name lies inside no permitted subtree.
void check_names(Path& path, const std::vector<Link>& links, bool strict) {
  const bool constrained = std::any_of(links.begin(), links.end(), [](const Link& link) {
    return link.depth > 0 && has_extension(link, NID_name_constraints);
  });
  if (!constrained && !strict) return;
  for (const Link& link : links) {
    for (const AltName& name : link.facts.names) {
      if (!link.anchor && !is_well_formed(name)) {
        add_problem(path.problems, link.depth, link.certificate,
                    fmt::format("its name {} is malformed", text_of(name)));
      }
    }
  }
}

// RFC 5280, 4.1.2.2. Anchors are the user's own decision.
void check_serial(Path& path, const Link& link) {
  if (ASN1_STRING_length(X509_get0_serialNumber(link.certificate)) > kLongestSerial) {
    add_problem(path.problems, link.depth, link.certificate,
                "its serial number is longer than 20 octets");
  }
}

// RFC 5280, 4.2.1.2, 4.2.1.9, 4.2.1.11 and 4.2.1.14, for authorities and anchors.
void check_authority_form(Path& path, const Link& link) {
  const auto add = [&](const char* reason) {
    add_problem(path.problems, link.depth, link.certificate, reason);
  };
  if (!link.facts.is_ca.value_or(false)) add("it has no basicConstraints of an authority");
  if (!contains(link.facts.critical, "2.5.29.19")) add("its basicConstraints is not critical");
  if (link.facts.subject_key_id.empty()) add("it has no subjectKeyIdentifier");
  for (const int nid : {NID_policy_constraints, NID_inhibit_any_policy}) {
    const std::string oid = oid_text(OBJ_nid2obj(nid));
    if (has_extension(link, nid) && !contains(link.facts.critical, oid)) {
      add("its constraints of policies are not critical");
    }
  }
}

// The CA/Browser Forum's Baseline Requirements for TLS, 6.1.5, 7.1.2 and 7.1.4.3.
void check_server_rules(Path& path, const Link& link) {
  const auto add = [&](const std::string& reason) {
    add_problem(path.problems, link.depth, link.certificate, reason);
  };
  const EVP_PKEY* key = X509_get0_pubkey(link.certificate);
  const bool rsa = key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1;
  const bool ec = key != nullptr && EVP_PKEY_is_a(key, "EC") == 1;
  if (!rsa && !ec) add("its key is neither RSA nor EC");
  if (rsa && (EVP_PKEY_get_bits(key) < 2048 || EVP_PKEY_get_bits(key) % 8 != 0)) {
    add(fmt::format("its RSA key of {} bits is not allowed", EVP_PKEY_get_bits(key)));
  }
  if (ec && EVP_PKEY_get_bits(key) < 256) add("its EC key has less than 256 bits");
  if (link.depth > 0 && is_self_issued(link.certificate) &&
      !link.facts.extended_key_usage.empty()) {
    add("a root has an extended key usage");
  }
  if (link.depth == 0 && link.facts.is_ca.value_or(false)) add("it is an authority, not a server");
}

bool looks_like_host(const std::string& name) {
  return is_ip(name) ||
         (name.find('.') != std::string::npos && is_well_formed({AltNameKind::dns, name}));
}

// Baseline Requirements, 7.1.4.3: letter for letter one of the names. Unless `strict`, a common
// name is let through that could be no host, stands beside names of another kind only, or is the
// domain of a wildcard.
void check_common_name(Path& path, const Link& link, bool strict) {
  const auto& names = link.facts.names;
  for (const SubjectPart& part : name_parts(X509_get_subject_name(link.certificate))) {
    if (part.type != "CN") continue;
    const AltNameKind kind = is_ip(part.value) ? AltNameKind::ip : AltNameKind::dns;
    const bool comparable = looks_like_host(part.value) &&
                            std::any_of(names.begin(), names.end(),
                                        [&](const AltName& name) { return name.kind == kind; });
    const bool listed = std::any_of(names.begin(), names.end(), [&](const AltName& name) {
      return name == AltName{kind, part.value} ||
             (!strict && name == AltName{kind, "*." + part.value});
    });
    if ((comparable || strict) && !listed) {
      add_problem(path.problems, link.depth, link.certificate,
                  fmt::format("its common name {} is not among its names", quoted(part.value)));
    }
  }
}

// What every program that connects to servers asks of their certificates. An anchor with trust
// settings of its own, or one that need be no root, is as it is by the user's decision.
void check_servers(Path& path, const std::vector<Link>& links, const PathOptions& options) {
  if (options.purpose != Purpose::server) return;
  for (const Link& link : links) {
    const EVP_PKEY* key = X509_get0_pubkey(link.certificate);
    if (key != nullptr && EVP_PKEY_is_a(key, "DSA") == 1) {
      add_problem(path.problems, link.depth, link.certificate, "its key is a DSA key");
    }
    const bool decided = link.anchor && (options.partial_chain || has_trust_settings(link));
    if (link.depth > 0 && !decided) check_authority_form(path, link);
  }
  check_common_name(path, links.front(), options.strict);
}

void check_strictly(Path& path, const std::vector<Link>& links, Purpose purpose) {
  for (const Link& link : links) {
    if (link.depth > 0) check_authority_form(path, link);
    if (purpose == Purpose::server) check_server_rules(path, link);
  }
}

}  // namespace

void add_problem(std::vector<PathProblem>& problems, int depth, const X509* certificate,
                 std::string reason) {
  const bool known = std::any_of(problems.begin(), problems.end(), [&](const PathProblem& one) {
    return one.depth == depth && one.reason == reason;
  });
  if (known || problems.size() >= kMostProblems) return;
  const std::string subject =
      certificate == nullptr ? "" : name_text(X509_get_subject_name(certificate));
  problems.push_back({depth, subject, std::move(reason)});
}

void check_rules(Path& path, const PathOptions& options, const std::string& host) {
  const std::vector<Link> links = links_of(path);
  if (links.empty()) return;
  check_purpose(path, links, options.purpose);
  check_emails(path, links.front().certificate, options.emails);
  if (options.max_depth) check_depth(path, links, *options.max_depth);
  if (!host.empty()) check_host_constraints(path, links, host);
  check_names(path, links, options.strict);
  for (const Link& link : links) {
    if (!link.anchor) check_serial(path, link);
  }
  check_servers(path, links, options);
  if (options.strict) check_strictly(path, links, options.purpose);
}

}  // namespace hsmith::x509
