// Request templates: what a request shall say, from a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/x509/extensions.h"

namespace hsmith::x509 {

// What is not said is empty.
struct RequestTemplate {
  ossl::Name subject;  // null: nothing is said
  Wishes wishes;
  std::string profile;
  std::string key_type;  // "rsa:2048": the type that the key must have
  std::string digest;
  std::string scheme;
  bool new_header = false;
  bool archive = false;              // the private key shall go along for an archive
  std::string template_name;         // Windows's name of the certificate template, for that
  std::vector<std::string> notices;  // what was changed or passed over, one line each
};

// Reads TOML (profile, key_type, subject, san, ku, eku, digest, scheme, new_header, [[ext]]) or the
// INF form with [NewRequest] that certreq -new reads. `file` is what errors call it, and files that
// it names are looked for beside it. Throws configuration with the line, refused for what hsmith
// does not do for anybody, unsupported for other formats than PKCS#10.
RequestTemplate parse_request_template(ByteView content, const std::string& file);

}  // namespace hsmith::x509
