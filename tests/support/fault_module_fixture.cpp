#include "tests/support/fault_module_fixture.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/error.h"

namespace hsmith::tests {
namespace {

constexpr std::string_view kLabel = "fault";
std::array<CK_BYTE, 4> pin = {'1', '2', '3', '4'};

// A broken test environment, not the behaviour under test.
[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "fault client: %s\n", why.c_str());
  _exit(98);
}

void need(CK_RV rv, const char* what) {
  if (rv != CKR_OK) give_up(std::string(what) + ": " + pkcs11::return_code_name(rv));
}

CK_FUNCTION_LIST* load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) give_up(dlerror());
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* list = nullptr;
  if (get == nullptr || get(&list) != CKR_OK) give_up("no function list");
  return list;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void redirect(const std::filesystem::path& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) give_up("cannot redirect");
  close(file);
}

// Makes the token with the real module, so that no rule disturbs it.
void make_token() {
  CK_FUNCTION_LIST* p11 = load(softhsm_module());
  need(p11->C_Initialize(nullptr), "C_Initialize");
  CK_SLOT_ID slot = 0;
  CK_ULONG count = 1;
  need(p11->C_GetSlotList(CK_TRUE, &slot, &count), "C_GetSlotList");
  std::array<CK_UTF8CHAR, 32> label{};
  label.fill(' ');
  std::memcpy(label.data(), kLabel.data(), kLabel.size());
  need(p11->C_InitToken(slot, pin.data(), pin.size(), label.data()), "C_InitToken");
  CK_SESSION_HANDLE session = 0;
  const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
  need(p11->C_OpenSession(slot, flags, nullptr, nullptr, &session), "C_OpenSession");
  need(p11->C_Login(session, CKU_SO, pin.data(), pin.size()), "C_Login");
  need(p11->C_InitPIN(session, pin.data(), pin.size()), "C_InitPIN");
  need(p11->C_Finalize(nullptr), "C_Finalize");
}

Outcome finished(pid_t child) {
  Outcome outcome;
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) outcome.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

}  // namespace

std::string softhsm_module() {
  const std::filesystem::path lib = "/usr/lib";
  const std::filesystem::path file = "softhsm/libsofthsm2.so";
  if (std::filesystem::exists(lib / file)) return lib / file;
  for (const auto& entry : std::filesystem::directory_iterator(lib)) {
    if (std::filesystem::exists(entry.path() / file)) return entry.path() / file;
  }
  return "";
}

FaultClient::FaultClient(const std::filesystem::path& said)
    : p11(load(HSMITH_FAULT_MODULE)), said_(said) {}

// Flushed at once: the process may be killed by the next call.
void FaultClient::say(const std::string& word) { said_ << word << ' ' << std::flush; }

void FaultClient::say(CK_RV rv) { say(pkcs11::return_code_name(rv)); }

CK_RV FaultClient::find_slot() {
  std::array<CK_SLOT_ID, 4> slots{};
  CK_ULONG count = slots.size();
  const CK_RV listed = p11->C_GetSlotList(CK_TRUE, slots.data(), &count);
  slot = slots[0];
  return listed;
}

CK_RV FaultClient::open() {
  const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
  return p11->C_OpenSession(slot, flags, nullptr, nullptr, &session);
}

CK_RV FaultClient::login() { return p11->C_Login(session, CKU_USER, pin.data(), pin.size()); }

void FaultClient::start() {
  need(p11->C_Initialize(nullptr), "C_Initialize");
  need(find_slot(), "C_GetSlotList");
  need(open(), "C_OpenSession");
  need(login(), "C_Login");
}

CK_RV FaultClient::generate(CK_BBOOL sensitive) {
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  std::array<CK_BYTE, 10> p256 = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
  std::array<CK_ATTRIBUTE, 2> public_template = {{
      {CKA_EC_PARAMS, p256.data(), p256.size()},
      {CKA_VERIFY, &yes, sizeof yes},
  }};
  std::array<CK_ATTRIBUTE, 3> private_template = {{
      {CKA_CLASS, &object_class, sizeof object_class},
      {CKA_SENSITIVE, &sensitive, sizeof sensitive},
      {CKA_SIGN, &yes, sizeof yes},
  }};
  return p11->C_GenerateKeyPair(session, &mechanism, public_template.data(), public_template.size(),
                                private_template.data(), private_template.size(), &public_key,
                                &private_key);
}

CK_RV FaultClient::create_data(const std::string& label) {
  CK_OBJECT_CLASS object_class = CKO_DATA;
  CK_BBOOL on_token = CK_TRUE;
  std::string text = label;
  std::array<CK_ATTRIBUTE, 3> attributes = {{
      {CKA_CLASS, &object_class, sizeof object_class},
      {CKA_TOKEN, &on_token, sizeof on_token},
      {CKA_LABEL, text.data(), text.size()},
  }};
  CK_OBJECT_HANDLE object = 0;
  return p11->C_CreateObject(session, attributes.data(), attributes.size(), &object);
}

CK_ULONG FaultClient::count_objects() {
  std::array<CK_OBJECT_HANDLE, 100> objects{};
  CK_ULONG count = 0;
  need(p11->C_FindObjectsInit(session, nullptr, 0), "C_FindObjectsInit");
  need(p11->C_FindObjects(session, objects.data(), objects.size(), &count), "C_FindObjects");
  need(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  return count;
}

CK_RV FaultClient::sign() {
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  std::array<CK_BYTE, 32> digest{};
  const CK_RV started = p11->C_SignInit(session, &mechanism, private_key);
  if (started != CKR_OK) return started;
  length = signature.size();
  return p11->C_Sign(session, digest.data(), digest.size(), signature.data(), &length);
}

CK_RV FaultClient::verify() {
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  std::array<CK_BYTE, 32> digest{};
  need(p11->C_VerifyInit(session, &mechanism, public_key), "C_VerifyInit");
  return p11->C_Verify(session, digest.data(), digest.size(), signature.data(), signature.size());
}

CK_RV FaultClient::read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  value.assign(100, '?');
  CK_ATTRIBUTE attribute{type, value.data(), value.size()};
  const CK_RV answer = p11->C_GetAttributeValue(session, object, &attribute, 1);
  length = attribute.ulValueLen;
  if (length < value.size()) value.resize(length);
  return answer;
}

CK_TOKEN_INFO FaultClient::token_info() {
  CK_TOKEN_INFO info{};
  need(p11->C_GetTokenInfo(slot, &info), "C_GetTokenInfo");
  return info;
}

void FaultModuleTest::SetUp() {
  if (softhsm_module().empty()) GTEST_SKIP() << "skipped: SoftHSM is not installed";
  std::string name = testing::TempDir() + "fault-XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  folder_ = name;
  std::filesystem::create_directory(folder_ / "tokens");
  std::ofstream(folder_ / "softhsm2.conf")
      << "directories.tokendir = " << (folder_ / "tokens").string() << "\n"
      << "objectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n";
  const pid_t child = fork();
  if (child == 0) {
    setenv("SOFTHSM2_CONF", (folder_ / "softhsm2.conf").c_str(), 1);
    make_token();
    _exit(0);
  }
  ASSERT_EQ(finished(child).exit_status, 0);
}

void FaultModuleTest::TearDown() {
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

Outcome FaultModuleTest::run(const std::string& script,
                             const std::function<void(FaultClient&)>& client) {
  return run_with({{"HSMITH_FAULT_SCRIPT", "inline:" + script}}, client);
}

Outcome FaultModuleTest::run_with(const std::map<std::string, std::string>& environment,
                                  const std::function<void(FaultClient&)>& client) {
  std::fflush(nullptr);  // or the child would write what is still buffered once more
  const pid_t child = fork();
  if (child == 0) {
    redirect(folder_ / "out", STDOUT_FILENO);
    redirect(folder_ / "errors", STDERR_FILENO);
    setenv("SOFTHSM2_CONF", (folder_ / "softhsm2.conf").c_str(), 1);
    setenv("HSMITH_FAULT_REAL", softhsm_module().c_str(), 1);
    setenv("HSMITH_FAULT_LOG", (folder_ / "log").c_str(), 1);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    FaultClient running(folder_ / "said");
    client(running);
    _exit(0);
  }
  Outcome outcome = finished(child);
  outcome.said = contents(folder_ / "said");
  if (!outcome.said.empty()) outcome.said.pop_back();
  outcome.out = contents(folder_ / "out");
  outcome.errors = contents(folder_ / "errors");
  return outcome;
}

std::string FaultModuleTest::log() const { return contents(folder_ / "log"); }

}  // namespace hsmith::tests
