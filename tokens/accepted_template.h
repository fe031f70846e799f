// Templates that a token refuses: the attribute is found and named, and left out where it protects
// nothing.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "tokens/keys.h"

namespace hsmith::tokens {

// Answers of a token that does not take a template: CKR_ATTRIBUTE_TYPE_INVALID,
// CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT, CKR_TEMPLATE_INCOMPLETE.
bool is_template_refusal(const Error& error);

// Makes objects by templates (a pair has two, the public key's first) in the session it is given.
using MakeObjects = std::function<std::vector<CK_OBJECT_HANDLE>(
    const pkcs11::Session& session, std::span<const pkcs11::Template> templates)>;

struct Accepted {
  std::vector<CK_OBJECT_HANDLE> objects;
  std::vector<std::string> notes;  // what was left out
};

// What `make` makes. Where the token answers CKR_ATTRIBUTE_TYPE_INVALID,
// CKR_ATTRIBUTE_VALUE_INVALID or CKR_TEMPLATE_INCONSISTENT, session objects tell which attributes
// it does not take. Those that protect nothing are left out, after `clean` took away what the first
// try left behind; for one that protects the key, or that the key needs, it throws unsupported with
// its name. Of two that are only refused together both are named, and one that protects nothing is
// left out. Where no attribute is found it throws the token's answer.
Accepted make_as_accepted(const OpenToken& token, std::vector<pkcs11::Template> templates,
                          const MakeObjects& make, const std::function<void()>& clean);

}  // namespace hsmith::tokens
