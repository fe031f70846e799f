// RecipientInfo (RFC 5652, 6.2), one by one.
#pragma once

#include <vector>

#include "src/cms/enveloped_data.h"

namespace hsmith::cms {

// Appends what one RecipientInfo says; a KeyAgreeRecipientInfo may name several. What hsmith cannot
// open is said of the recipient; throws malformed, with `input`, for what is no RecipientInfo.
void read_recipient(const Element& info, std::string_view input, std::vector<Recipient>& out);

}  // namespace hsmith::cms
