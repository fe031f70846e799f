#include "cli/machine_checks.h"

#include <gtest/gtest.h>

namespace hsmith::cli {
namespace {

TEST(MachineChecks, AnOpenSslWithKnownFlawsIsNamed) {
  EXPECT_NE(openssl_flaw(0x30000120).find("CVE-2025-15467"), std::string::npos);  // 3.0.18
  EXPECT_EQ(openssl_flaw(0x30000130).find("CVE-2025-15467"), std::string::npos);  // 3.0.19
  EXPECT_NE(openssl_flaw(0x30000140).find("CVE-2026-28390"), std::string::npos);  // 3.0.20
  EXPECT_EQ(openssl_flaw(0x30000150), "");                                        // 3.0.21
}

}  // namespace
}  // namespace hsmith::cli
