// A request on its way out: made by a key that is there or is made for it, kept, and written.
#pragma once

#include <functional>
#include <string>

#include "cli/context.h"
#include "src/base/bytes.h"
#include "src/x509/request.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct RequestOutput {
  std::string file = "-";
  std::string format = "pem";  // or "der"
  bool new_header = false;
  // What is written instead of the request itself: a PKCS#7 around it, DER.
  std::function<Bytes(const Bytes& request)> wrap;
};

// Refuses an output that could not be written, before anything is done.
void check_request_output(const RequestOutput& output, const Context& context);

// Keeps a request among those that are pending, writes it, and tells of it.
Outcome deliver_request(const RequestOutput& output, const tokens::Key& key,
                        const x509::MadeRequest& made, Context& context);

using MakeRequest = std::function<x509::MadeRequest(const tokens::Key&)>;

// Makes a request by a key that is there and delivers it. With --plan only says so.
Outcome request_by_present_key(const tokens::Reach& way, const tokens::OpenToken& token,
                               const tokens::Key& key, const RequestOutput& output,
                               const MakeRequest& make, Context& context);

// Makes a key, a request by it and delivers that; a request that fails takes the key with
// it. With --plan only says so. The label must be free.
Outcome request_by_new_key(const tokens::Reach& way, const tokens::OpenToken& token,
                           const tokens::KeySpec& spec, const RequestOutput& output,
                           const MakeRequest& make, Context& context);

}  // namespace hsmith::cli
