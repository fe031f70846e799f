// Requests that were made and not yet completed, kept in the state folder by their public key.
#pragma once

#include <ctime>
#include <filesystem>
#include <openssl/evp.h>
#include <optional>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

namespace hsmith::cli {

struct PendingRequest {
  std::filesystem::path file;
  ossl::Request request;
  std::time_t made = 0;
};

// Keeps a copy of a request (DER). A newer request of the same key takes the older one's place.
void keep_request(const std::filesystem::path& state_folder, const EVP_PKEY* key, ByteView der);

// The request that is kept for a key; nullopt when there is none, or what is there is no request.
std::optional<PendingRequest> pending_request(const std::filesystem::path& state_folder,
                                              const EVP_PKEY* key);

// What a request with an archived key waits for: a response by this authority's key, with this hash
// (cmc.h).
struct PendingArchival {
  Bytes hash;
  ossl::Certificate authority;
};
void keep_archival(const std::filesystem::path& state_folder, const EVP_PKEY* key,
                   const PendingArchival& archival);
// Throws malformed for a record that cannot be read: what it asks for must not be passed over.
std::optional<PendingArchival> pending_archival(const std::filesystem::path& state_folder,
                                                const EVP_PKEY* key);

// Forgets it, and what its archival waits for; true when there was one.
bool forget_request(const std::filesystem::path& state_folder, const EVP_PKEY* key);

}  // namespace hsmith::cli
