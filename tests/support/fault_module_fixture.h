// A client of the fault module in a process of its own, on a SoftHSM token of its own.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <p11-kit/pkcs11.h>
#include <string>
#include <vector>

namespace hsmith::tests {

// The path of SoftHSM's module, or "" where it is not installed.
std::string softhsm_module();

// A small Cryptoki client. Its methods return what the module returned; say() adds a word to what
// the parent reads.
class FaultClient {
 public:
  explicit FaultClient(const std::filesystem::path& said);

  void say(const std::string& word);
  void say(CK_RV rv);  // by its name

  // The token's is the first slot that SoftHSM lists.
  CK_RV find_slot();
  CK_RV open();
  CK_RV login();
  // C_Initialize, one C_GetSlotList, C_OpenSession, C_Login: all must succeed.
  void start();

  CK_RV generate(CK_BBOOL sensitive = CK_TRUE);  // a P-256 pair of session objects
  CK_RV create_data(const std::string& label);   // an object on the token
  CK_ULONG count_objects();
  CK_RV sign();  // one block of 32 bytes; the answer is in `signature` and `length`
  CK_RV verify();
  CK_RV read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);  // ... in `value` and `length`
  CK_TOKEN_INFO token_info();

  CK_FUNCTION_LIST* p11 = nullptr;
  CK_SLOT_ID slot = 0;
  CK_SESSION_HANDLE session = 0;
  CK_OBJECT_HANDLE public_key = 0;
  CK_OBJECT_HANDLE private_key = 0;
  std::vector<CK_BYTE> signature = std::vector<CK_BYTE>(64);
  std::string value;
  CK_ULONG length = 0;

 private:
  std::ofstream said_;
};

struct Outcome {
  int exit_status = -1;  // 0 when the client came to its end
  int signal = 0;        // of one that was killed
  std::string said;      // the client's words, a space between them
  std::string out;       // standard output
  std::string errors;    // standard error
};

class FaultModuleTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs the client with an inline script.
  Outcome run(const std::string& script, const std::function<void(FaultClient&)>& client);
  // The same with these variables added to the environment, or replaced in it.
  Outcome run_with(const std::map<std::string, std::string>& environment,
                   const std::function<void(FaultClient&)>& client);
  std::string log() const;
  std::filesystem::path folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace hsmith::tests
