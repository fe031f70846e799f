#include "cli/pending.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/certificate.h"
#include "src/x509/request.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& state_folder, const EVP_PKEY* key, const char* ending = ".csr") {
  const Bytes sha256 = ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key));
  return state_folder / "requests" / (hex(sha256) + ending);
}

fs::path archival_file(const fs::path& state_folder, const EVP_PKEY* key) {
  return file_of(state_folder, key, ".archival");
}

bool remove_if_there(const fs::path& file) {
  std::error_code failed;
  const bool removed = fs::remove(file, failed);
  if (failed)
    throw Error(Kind::io, fmt::format("remove {}: {}", quoted(file.string()), failed.message()));
  return removed;
}

}  // namespace

void keep_request(const fs::path& state_folder, const EVP_PKEY* key, ByteView der) {
  const fs::path file = file_of(state_folder, key);
  make_private_folder(file.parent_path());
  const std::string pem = x509::request_pem(der, x509::PemHeader::certificate_request);
  write_file(file, as_bytes(pem), kPrivateFile, Replace::yes);
}

std::optional<PendingRequest> pending_request(const fs::path& state_folder, const EVP_PKEY* key) {
  const fs::path file = file_of(state_folder, key);
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return std::nullopt;
  try {
    return PendingRequest{file, x509::parse_request(read_file(file), quoted(file.string())),
                          status.st_mtime};
  } catch (
      const Error&) {  // nothing depends on the record: the certificate finds its key without it
    return std::nullopt;
  }
}

void keep_archival(const fs::path& state_folder, const EVP_PKEY* key,
                   const PendingArchival& archival) {
  const fs::path file = archival_file(state_folder, key);
  make_private_folder(file.parent_path());
  const std::string text =
      hex(archival.hash) + "\n" + x509::certificate_pem(archival.authority.get());
  write_file(file, as_bytes(text), kPrivateFile, Replace::yes);
}

std::optional<PendingArchival> pending_archival(const fs::path& state_folder, const EVP_PKEY* key) {
  const fs::path file = archival_file(state_folder, key);
  if (!fs::exists(file)) return std::nullopt;
  const Bytes content = read_file(file.string());
  const std::string_view text = as_text(content);
  const auto hash = parse_hex(text.substr(0, text.find('\n')));
  if (!hash)
    throw Error(Kind::malformed, fmt::format("read {}: it has no hash", quoted(file.string())));
  return PendingArchival{*hash, x509::read_certificate(content, quoted(file.string()))};
}

bool forget_request(const fs::path& state_folder, const EVP_PKEY* key) {
  const bool removed = remove_if_there(file_of(state_folder, key));
  remove_if_there(archival_file(state_folder, key));
  return removed;
}

}  // namespace hsmith::cli
