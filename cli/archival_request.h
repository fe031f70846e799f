// A request whose private key goes along, encrypted to an authority's exchange certificate.
#pragma once

#include <functional>
#include <string>

#include "cli/arguments.h"
#include "cli/exchange_certificate.h"
#include "cli/new_request.h"
#include "src/ossl/remote_key.h"

namespace hsmith::cli {

struct ArchivalOptions {
  bool wanted = false;  // --archive
  std::string exchange;
  std::string authority;
};
void add_archival_options(Arguments& command, ArchivalOptions& options);
// To be called first by a command: guards the memory of the key that is to be made. Throws usage
// for options that do not go together.
void check_archival_options(const ArchivalOptions& options, const std::string& key_type,
                            Context& context);

// Signs the request for a key in memory.
using SignRequest = std::function<x509::MadeRequest(const std::shared_ptr<ossl::RemoteKey>&)>;

// Makes a key in locked memory and a CMC request with it, puts it on the token, not extractable,
// and delivers the request; one that fails takes the key with it. The key can do what the request
// asks for. With --plan only says so. Throws refused for a request that asks for signatures only.
Outcome request_with_archived_key(const ArchivalOptions& options, tokens::KeySpec spec,
                                  RequestOutput output, const std::string& template_name,
                                  const SignRequest& sign, Context& context);

}  // namespace hsmith::cli
