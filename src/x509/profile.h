// Profiles: what a certificate for a purpose needs, as TOML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/ossl/algorithms.h"
#include "src/x509/extensions.h"
#include "src/x509/name.h"

namespace hsmith::x509 {

enum class Presence { allowed, required, forbidden };

struct Profile {
  std::string name;
  std::string description;

  // [key]
  std::vector<std::string> key_types;  // "rsa", "ec", "ed25519"
  int rsa_bits = 2048;                 // at least
  int rsa_bits_most = 0;               // 0: no limit
  int ec_bits = 256;

  // [usage]: what is asked for where the user says nothing. RSA keys and others differ.
  std::vector<std::string> rsa_key_usage;
  std::vector<std::string> ec_key_usage;
  std::vector<std::string> ed25519_key_usage;
  std::vector<std::string> extended_key_usage;

  // [subject]
  std::vector<std::string> required_parts;  // "CN", "O", "C"
  std::vector<std::string> forbidden_parts;
  std::vector<std::string> countries;  // empty: every country
  bool host_name = false;              // the common name is a domain name, a wildcard may be

  // [names]
  std::vector<std::string> one_of_names;        // at least one name of one of these kinds
  std::vector<std::string> allowed_names;       // empty: every kind
  std::vector<std::string> names_from_subject;  // "CN", "emailAddress": belong among the names too
  Presence wildcard = Presence::allowed;
  int least_names = 0;
  int most_names = 0;  // 0: no limit

  // [issue]: what an authority that issues by this profile adds, allows and bounds.
  int most_days = 365;
  bool authority = false;                       // makes certification authorities
  int path_length = -1;                         // of those; -1: none is written
  std::vector<std::string> request_extensions;  // OIDs of extensions taken over from requests
  // Windows's name of the template (1.3.6.1.4.1.311.20.2); with it the purposes are written as
  // application policies too (1.3.6.1.4.1.311.21.10), and no extension is critical. "": neither.
  std::string template_name;
  // Whether a key comes with the request, to be archived: without it, or with it, none is issued.
  Presence archive_key = Presence::allowed;
};

// True when the common name of such a certificate is a server's name rather than a title.
bool names_a_host(const Profile& profile);

// The names that `--profile` knows: the shipped ones and the *.toml of `folder`, sorted. An empty
// or absent folder adds nothing.
std::vector<std::string> profile_names(const std::string& folder);

// A profile of the user's own goes before a shipped one of the same name. Throws usage with the
// nearest name, configuration with file, line and the nearest key.
Profile load_profile(std::string_view name, const std::string& folder);

// One profile from TOML text; `source` is what errors call it.
Profile parse_profile(std::string_view toml, std::string_view name, std::string_view source);

// What a key of this type is asked to be for when the user says nothing.
const std::vector<std::string>& default_key_usage(const Profile& profile,
                                                  ossl::KeyAlgorithm algorithm);

// Fills in what was not asked for: key usages, to be an authority, and the names that the profile
// takes from the subject. Each added name gives a line in `notices`.
void apply_profile(const Profile& profile, ossl::KeyAlgorithm algorithm, const X509_NAME* subject,
                   Wishes& wishes, std::vector<std::string>& notices);

}  // namespace hsmith::x509
