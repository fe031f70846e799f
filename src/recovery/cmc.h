// CMC messages (RFC 5272) as Windows exchanges them when it archives keys: the request with the
// enveloped private key ([MS-WCCE] 2.2.2.6), and the response.
#pragma once

#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/recovery/envelope.h"

namespace hsmith::recovery {

// RFC 5272 and [MS-WCCE] 2.2.2.7, 2.2.2.8, dotted.
inline constexpr std::string_view kPkiData = "1.3.6.1.5.5.7.12.2";
inline constexpr std::string_view kPkiResponse = "1.3.6.1.5.5.7.12.3";
inline constexpr std::string_view kArchivedKey = "1.3.6.1.4.1.311.21.13";
inline constexpr std::string_view kEncryptedKeyHash = "1.3.6.1.4.1.311.21.21";
inline constexpr std::string_view kIssuedCertHash = "1.3.6.1.4.1.311.21.17";
inline constexpr std::string_view kStatusInfo = "1.3.6.1.5.5.7.7.1";
inline constexpr std::string_view kRegInfo = "1.3.6.1.5.5.7.7.18";
inline constexpr std::string_view kAddAttributes = "1.3.6.1.4.1.311.10.10.1";
inline constexpr std::string_view kClientInfo = "1.3.6.1.4.1.311.21.20";

// A control of a PKIData or PKIResponse.
struct CmcControl {
  std::string body_part;
  std::string oid;   // dotted
  std::string name;  // "addExtensions"; "" when it is not known
};

// What a request says of the machine it comes from ([MS-WCCE] 2.2.2.7.4); nothing proves it. Text
// as it stands there, 256 bytes at most.
struct ClientInfo {
  std::string id;  // of the program, hex: 1 to 9 and 1000 are reserved
  std::string machine;
  std::string user;
  std::string process;
};

// The private key on its way to an archive.
struct ArchivedKey {
  Bytes content_info;  // what the hash is made over
  Envelope envelope;
  Bytes hash;  // attribute 1.3.6.1.4.1.311.21.21
};

struct CmcRequest {
  ossl::Request request;  // the PKCS#10
  Bytes request_der;
  std::vector<CmcControl> controls;
  std::vector<std::string> extensions;       // OIDs that a control adds
  std::vector<std::string> added_key_usage;  // what that control says of usage and purposes
  std::vector<std::string> added_purposes;
  std::vector<std::string> attributes;  // OIDs that a control adds
  std::string registration;             // regInfo: "CertificateTemplate=User&"
  std::optional<ClientInfo> client;
  std::optional<ArchivedKey> archived_key;
  std::string digest;          // of the message
  std::string message_digest;  // hex
};

struct CmcResponse {
  int status = -1;  // 0 issued, 2 denied or failed, 3 pending (RFC 5272, 6.1.3)
  std::string status_text;
  std::vector<CmcControl> controls;
  std::vector<ossl::Certificate> certificates;
  ossl::Certificate issued;  // whose SHA-1 the response names; null when it names none
  Bytes issued_hash;         // attribute 1.3.6.1.4.1.311.21.17
  Bytes archived_key_hash;   // attribute 1.3.6.1.4.1.311.21.21
  std::string digest;
  std::string message_digest;
  std::string signer;           // subject of the authority's certificate
  ossl::Certificate authority;  // that certificate
};

// The DER or BER in a file, of any CMS message: as it is, or the one PEM block of any label
// (certreq writes "NEW CERTIFICATE REQUEST"). Several blocks are no message: empty.
Bytes cmc_of(ByteView file, const std::string& input);

// True for a SignedData whose content is a PKIData or a PKIResponse.
bool is_cmc_request(ByteView ber);
bool is_cmc_response(ByteView ber);

// Reads a request and verifies all that binds it together: the message digest, the signature by the
// PKCS#10's key (named by its subject key identifier), the PKCS#10's own signature, and the hash
// over the whole ContentInfo of the archived key. Exactly one PKCS#10, one signer, no certificates,
// one unsigned attribute at most. Throws malformed, mismatch with the binding that fails.
CmcRequest read_cmc_request(ByteView ber, const std::string& input);

// Reads a response and verifies message digest and signature by one of its certificates, that this
// one is self-signed or issued by another one in it, that it issued the certificate that is named
// by its SHA-1, and every signature among its certificates. Throws malformed, mismatch.
CmcResponse read_cmc_response(ByteView ber, const std::string& input);

}  // namespace hsmith::recovery
