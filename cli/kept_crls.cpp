#include "cli/kept_crls.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/crl.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCrlLimit = 32u << 20;

void add_extension(Bytes& name, const X509_CRL* crl, int nid) {
  const int at = X509_CRL_get_ext_by_NID(crl, nid, -1);
  if (at < 0) return;
  const Bytes der = ossl::der_of(i2d_X509_EXTENSION, X509_CRL_get_ext(crl, at));
  name.insert(name.end(), der.begin(), der.end());
}

}  // namespace

std::vector<ossl::Crl> read_crl_file(const std::string& file) {
  return x509::read_crls(read_file(file, kCrlLimit), quoted(file));
}

std::vector<KeptCrl> kept_crls(const fs::path& state_folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(state_folder / "crls", failed)) {
    if (entry.path().extension() == ".crl") files.push_back(entry.path());
  }
  if (failed && failed != std::errc::no_such_file_or_directory) {
    throw Error(Kind::io, fmt::format("list {}: {}", quoted((state_folder / "crls").string()),
                                      failed.message()));
  }
  std::sort(files.begin(), files.end());
  std::vector<KeptCrl> kept;
  for (const fs::path& file : files) {
    for (ossl::Crl& crl : read_crl_file(file.string())) kept.push_back({file, std::move(crl)});
  }
  return kept;
}

fs::path place_of(const fs::path& state_folder, X509_CRL* crl) {
  Bytes name = ossl::der_of(i2d_X509_NAME, X509_CRL_get_issuer(crl));
  // An issuer that renewed its key signs lists with the old and with the new one for a while.
  add_extension(name, crl, NID_authority_key_identifier);
  add_extension(name, crl, NID_issuing_distribution_point);
  const bool delta = X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0;
  return state_folder / "crls" / (sha256_hex(name) + (delta ? ".delta.crl" : ".crl"));
}

}  // namespace hsmith::cli
