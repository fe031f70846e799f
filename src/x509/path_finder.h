// Which paths there are from a certificate to the anchors.
#pragma once

#include <span>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::x509 {

// A certificate of a path, and whether it was given as an anchor. Borrowed.
struct Step {
  X509* certificate = nullptr;
  bool trusted = false;
};

// Each path from the leaf to an anchor, both included, by names and signatures: whether it is good
// is another question. At most 32 paths of 24 certificates; a loop of cross-certificates ends.
// `partial_chain`: an anchor need not be self-signed to end a path.
std::vector<std::vector<Step>> find_paths(X509* leaf, std::span<const ossl::Certificate> untrusted,
                                          std::span<const ossl::Certificate> anchors,
                                          bool partial_chain);

}  // namespace hsmith::x509
