// Several keys of one person.
#pragma once

#include <ctime>

#include "src/recovery/archive.h"

namespace hsmith::recovery {

// A certificate in the archive of another key that is valid at the same time, for the same subject
// and the same purposes: one is to be in use at a time. Null when there is none among the first 20
// that have the subject's name. Rows that are damaged are passed over.
ossl::Certificate other_valid_key(Archive& archive, X509* certificate, std::time_t now);

}  // namespace hsmith::recovery
