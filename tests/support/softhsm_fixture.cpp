#include "tests/support/softhsm_fixture.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <iterator>
#include <openssl/rand.h>
#include <sys/wait.h>

#include "src/base/files.h"

namespace hsmith::tests {
namespace {

constexpr char kLabel[] = "test";

std::string random_pin() {
  std::array<unsigned char, 4> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  return hex(bytes);
}

}  // namespace

std::string softhsm_path() {
  for (const char* path :
       {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

void ScopedVariables::remember(const std::string& name) {
  if (before_.contains(name)) return;
  const char* value = std::getenv(name.c_str());
  before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

void ScopedVariables::set(const std::string& name, const std::string& value) {
  remember(name);
  setenv(name.c_str(), value.c_str(), 1);
}

void ScopedVariables::unset(const std::string& name) {
  remember(name);
  unsetenv(name.c_str());
}

ScopedVariables::~ScopedVariables() {
  for (const auto& [name, value] : before_) {
    if (value) {
      setenv(name.c_str(), value->c_str(), 1);
    } else {
      unsetenv(name.c_str());
    }
  }
}

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return "";
  }
  std::string text;
  std::array<char, 4096> block{};
  while (const std::size_t got = fread(block.data(), 1, block.size(), pipe)) {
    text.append(block.data(), got);
  }
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << text;
  return text;
}

void SoftHsmTest::SetUp() {
  if (softhsm_path().empty()) GTEST_SKIP() << "skipped: SoftHSM is not installed";
  std::filesystem::create_directory(folder_ / "tokens");
  folder_.write("softhsm2.conf", fmt::format("directories.tokendir = {}\n"
                                             "objectstore.backend = file\nlog.level = ERROR\n",
                                             folder_ / "tokens"));
  variables.set("SOFTHSM2_CONF", folder_ / "softhsm2.conf");
  so_pin_ = random_pin();
  use_pin(random_pin());
  output_of(
      fmt::format("softhsm2-util --init-token --free --label {} --so-pin {} --pin {} >{} 2>&1",
                  kLabel, so_pin_, pin_, folder_ / "softhsm2-util.out"));
  reach.module_path = softhsm_path();
  reach.token = tokens::parse_token_choice(kLabel);
  reach.state_folder = folder_ / "state";
  reach.lock_folder = folder_ / "locks";
  make_private_folder(reach.lock_folder);
  reach.warn = [this](const std::string& text) { warnings.push_back(text); };
  reach.environment = &environment_;
}

void SoftHsmTest::use_pin(const std::string& pin) {
  pin_ = pin;
  folder_.write("pin", pin + "\n");
}

tokens::OpenToken SoftHsmTest::open(pkcs11::Access access, tokens::Login login) {
  tokens::PinOptions options;
  options.option = "file:" + (folder_ / "pin");
  if (login == tokens::Login::so) {
    options.role = tokens::PinRole::so;
    options.option = "file:" + folder_.write("so-pin", so_pin_ + "\n");
  }
  return tokens::open_token(reach, access, login, options);
}

void SoftHsmTest::inject(const std::string& rules) {
  variables.set("HSMITH_FAULT_REAL", softhsm_path());
  variables.set("HSMITH_FAULT_SCRIPT", "inline:" + rules);
  variables.set("HSMITH_FAULT_LOG", folder_ / "calls");
  // A copy is loaded anew: the module reads its script once.
  const std::filesystem::path copy = folder_ / fmt::format("fault-{}", ++injections_);
  std::filesystem::create_directory(copy);
  std::filesystem::copy_file(HSMITH_FAULT_MODULE, copy / "hsmith_fault_module.so");
  std::filesystem::remove(folder_ / "calls");
  reach.module_path = copy / "hsmith_fault_module.so";
}

std::string SoftHsmTest::fault_log() const {
  std::ifstream file(folder_ / "calls");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string SoftHsmTest::pkcs11_tool(const std::string& arguments) const {
  return output_of(fmt::format("pkcs11-tool --module {} --token-label {} --login --pin {} {} 2>&1",
                               softhsm_path(), kLabel, pin_, arguments));
}

tokens::Generated SoftHsmTest::generate(const tokens::OpenToken& token, std::string_view type,
                                        const std::string& label, std::string_view uses) {
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(type);
  spec.uses = tokens::parse_uses(uses, *spec.type);
  spec.label = label;
  return tokens::generate(token, spec);
}

}  // namespace hsmith::tests
