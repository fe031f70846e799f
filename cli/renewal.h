// The labels of pairs that follow one another: NAME is in service, NAME@2 waits for its
// certificate, NAME@1 was replaced and waits to be retired.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "tokens/keys.h"

namespace hsmith::cli {

std::string waiting_label(const std::string& name);
std::string replaced_label(const std::string& name);
// "web" of "web@2"; nullopt for any other label.
std::optional<std::string> awaited_name(const std::string& label);

// What takes the place of what when a certificate is installed: a pair that of another pair, or
// the certificate that of another one of the same key. Keys are SubjectPublicKeyInfo, DER.
struct Succession {
  std::string name;
  Bytes new_key;
  Bytes old_key;          // empty: there is no old pair, or it is the same key
  Bytes old_certificate;  // DER; empty unless the key is the same
};

// What installing the certificate for this key replaces; nullopt: nothing. Throws exists when
// NAME@1 is not yet retired, or the key's other certificate is not one that this renews.
std::optional<Succession> succession_of(const tokens::OpenToken& token,
                                        const tokens::Inventory& inventory, const tokens::Key& key,
                                        X509* certificate);

// For the journal, and back from it; nullopt when the facts hold none.
Json succession_facts(const Succession& succession);
std::optional<Succession> succession_in(const Json& facts);

// The same subject, and a longer life: the successor of a certificate.
bool renews(X509* next, X509* present);

std::vector<Change> changes_of(const Succession& succession);

// Gives the old and the new ones their labels, the new certificate being installed. What is done
// already stays: it can be run again. A pair that was given another name since keeps it, and throws
// exists where another pair has one of the names by now.
void succeed(const tokens::OpenToken& token, const Succession& succession);

}  // namespace hsmith::cli
