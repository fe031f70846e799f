#include "src/cms/der.h"

#include <openssl/objects.h>

#include "src/cms/ber.h"
#include "src/ossl/check.h"

namespace hsmith::cms {

Bytes der(unsigned char tag, std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  Bytes element{tag};
  if (size < 0x80) {
    element.push_back(static_cast<unsigned char>(size));
  } else {
    std::size_t octets = 1;
    while (octets < sizeof size && size >> 8 * octets != 0) ++octets;
    element.push_back(static_cast<unsigned char>(0x80 | octets));
    while (octets-- > 0) element.push_back(static_cast<unsigned char>(size >> 8 * octets));
  }
  element.reserve(element.size() + size);
  for (const ByteView part : parts) element.insert(element.end(), part.begin(), part.end());
  return element;
}

Bytes der_oid(int nid) {
  return ossl::der_of(i2d_ASN1_OBJECT, ossl::check_ptr(OBJ_nid2obj(nid), "encode an OID"));
}

Bytes der_algorithm(int nid) { return der(kSequence, {der_oid(nid)}); }

}  // namespace hsmith::cms
