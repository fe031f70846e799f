// Whether what belongs together by public key has one label and one id.
#pragma once

#include <string>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// A public key, a certificate or the private key itself that is labelled or numbered otherwise.
struct Misfit {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_OBJECT_CLASS object_class = 0;
  std::string uri;    // as it is found now
  std::string label;  // as it shall be
  Bytes id;
  Bytes der;  // of a certificate
};

// What goes with one private key. Its own label and id lead; where it has none, the label of its
// certificate or public key, and the SHA-1 of its public key. A certificate NAME@1 of the key NAME
// keeps its label: it is the one before.
struct Links {
  Key key;
  ossl::PKey public_half;
  std::vector<Misfit> misfits;
};

// Objects that have no partner, or one too many.
struct Stray {
  std::string what;  // "certificate without a key here", one line
  std::vector<std::string> uris;
};

struct LinkSurvey {
  std::vector<Links> keys;
  std::vector<Stray> orphans;
  std::vector<Stray> duplicates;  // a key that is there twice is in no Links: nobody knows which
};

// Looks at everything. A private key that does not show its public half is tried, by an operation,
// with what has its id, and then with public keys and certificates that have no partner. Throws
// token_removed; what else a token fails at in a trial is no match, but where what has the key's id
// leaves no doubt.
LinkSurvey survey_links(const OpenToken& token, const Inventory& inventory);

// Gives the misfits their label and id and reads them back; a certificate that may not be changed
// is put there anew and the old one deleted. Doing it again changes nothing. Throws unsupported
// before anything is changed, else what the token failed with, as unfinished.
void relink(const OpenToken& token, const Links& links);

}  // namespace hsmith::tokens
