// Files of the usual encodings, taken apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/x509/kind.h"

namespace hsmith::x509 {

// One PEM block (RFC 7468). The content of a private key is not decoded.
struct PemBlock {
  std::string label;  // "CERTIFICATE"
  Bytes der;
};

// True when there is a line that begins a PEM block.
bool looks_like_pem(ByteView content);

// The PEM blocks of a text; what stands between them is skipped, as are a byte order mark and
// carriage returns. Throws malformed with `input`, as refuse_kind, and the line. At most 10,000
// blocks.
std::vector<PemBlock> pem_blocks(ByteView content, std::string_view input);

// One block with lines of 64 characters.
std::string pem(std::string_view label, ByteView der);

// The length of the DER element at the start, header included. 0: no complete element, or not in
// the shortest form.
std::size_t der_element_size(ByteView der);

}  // namespace hsmith::x509
