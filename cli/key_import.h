// Keys that come from outside put on a token, with their certificates.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/context.h"
#include "tokens/import.h"

namespace hsmith::cli {

struct ImportedKey {
  ossl::PKey key;
  std::vector<ossl::Certificate> certificates;  // of this key
};

// What the key shall be on the token: `use` ("sign,decrypt"), or what its certificate says, else
// signing. `name` is what messages call it. Throws refused for a type that is weak or not known.
tokens::KeySpec import_spec(const ImportedKey& input, const std::string& label,
                            const std::string& use, const std::string& name);

// Throws exists when the key is on the token already: a second copy would be another key to every
// program that looks for it. `doing` is "import the key …".
void check_absent(const tokens::OpenToken& token, const tokens::Inventory& inventory, EVP_PKEY* key,
                  const std::string& doing);

// Puts the certificates of a new key beside it. Where that fails the key stays, and `doctor
// --repair` goes on: the journal has the fact "certificates". `verb` is what was done with the key.
void install_certificates(const tokens::OpenToken& token, const tokens::Key& key,
                          std::span<const ossl::Certificate> certificates, const char* verb);
// That fact.
Json certificate_facts_of(std::span<const ossl::Certificate> certificates);

// Imports key and certificates as one undertaking; announced, proved, read back.
tokens::Key import_with_certificates(Context& context, const tokens::OpenToken& token,
                                     const tokens::KeySpec& spec, const ImportedKey& input);

}  // namespace hsmith::cli
