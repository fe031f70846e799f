// Keys that hsmith makes, as programs see them that use libp11.

// libp11.h names types that OpenSSL 3.0 deprecates.
#undef OPENSSL_NO_DEPRECATED
#undef OPENSSL_API_COMPAT
#define OPENSSL_SUPPRESS_DEPRECATED

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <libp11.h>

#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"
#include "tokens/interop.h"

namespace hsmith::tests {
namespace {

using testing::HasSubstr;

// libp11 with SoftHSM loaded and the user logged in. Never while hsmith has the module open: libp11
// closes the sessions of others and finalises the module under them.
class Libp11 {
 public:
  explicit Libp11(const std::string& pin) : context_(PKCS11_CTX_new()) {
    if (PKCS11_CTX_load(context_, softhsm_path().c_str()) != 0) {
      throw std::runtime_error("libp11 does not load SoftHSM");
    }
    PKCS11_enumerate_slots(context_, &slots_, &count_);
    slot_ = PKCS11_find_token(context_, slots_, count_);
    if (slot_ == nullptr || PKCS11_login(slot_, 0, pin.c_str()) != 0) {
      throw std::runtime_error("libp11 does not log in");
    }
  }
  ~Libp11() {
    PKCS11_release_all_slots(context_, slots_, count_);
    PKCS11_CTX_unload(context_);
    PKCS11_CTX_free(context_);
  }
  Libp11(const Libp11&) = delete;
  Libp11& operator=(const Libp11&) = delete;

  // All private keys; -1 when libp11 cannot list them.
  int list(std::vector<PKCS11_KEY*>& keys) const {
    PKCS11_KEY* first = nullptr;
    unsigned count = 0;
    const int result = PKCS11_enumerate_keys(slot_->token, &first, &count);
    for (unsigned i = 0; result == 0 && i < count; ++i) keys.push_back(first + i);
    return result;
  }

 private:
  PKCS11_CTX* context_;
  PKCS11_SLOT* slots_ = nullptr;
  PKCS11_SLOT* slot_ = nullptr;
  unsigned count_ = 0;
};

Bytes sign(EVP_PKEY* key, const ossl::Scheme& scheme, std::string_view message) {
  const ossl::DigestContext context(EVP_MD_CTX_new());
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes signature(size);
  ossl::check(EVP_DigestSignInit(context.get(), nullptr, scheme.digest->md(), nullptr, key) == 1 &&
                  EVP_DigestSign(context.get(), signature.data(), &size, as_bytes(message).data(),
                                 message.size()) == 1,
              "sign through libp11");
  signature.resize(size);
  return signature;
}

class Libp11Test : public SoftHsmTest, public testing::WithParamInterface<const char*> {
 protected:
  // A key made and closed again: its id and its public half.
  std::pair<Bytes, ossl::PKey> make(std::string_view type, const std::string& label) {
    const tokens::OpenToken token = open();
    const tokens::Key key = generate(token, type, label).key;
    return {key.id, tokens::public_key_of(token, key)};
  }
};

TEST_P(Libp11Test, FindsAKeyOfOursByLabelAndByIdAndSignsWithIt) {
  make("ec:p256", "another");
  const auto [id, public_key] = make(GetParam(), "web");
  const Libp11 libp11(pin());
  std::vector<PKCS11_KEY*> keys;
  ASSERT_EQ(libp11.list(keys), 0);
  PKCS11_KEY* by_label = nullptr;
  PKCS11_KEY* by_id = nullptr;
  for (PKCS11_KEY* key : keys) {
    if (std::string(key->label) == "web") by_label = key;
    if (equal({key->id, key->id_len}, id)) by_id = key;
  }
  ASSERT_NE(by_label, nullptr);
  EXPECT_EQ(by_label, by_id);
  const ossl::PKey key(PKCS11_get_private_key(by_label));
  ASSERT_TRUE(key);
  const ossl::Scheme scheme = ossl::choose_scheme(public_key.get(), "", "");
  const Bytes signature = sign(key.get(), scheme, "hello");
  EXPECT_TRUE(ossl::verify(public_key.get(), scheme,
                           ossl::digest(*scheme.digest, as_bytes("hello")), signature));
}

TEST_P(Libp11Test, ItsEngineSignsWithAKeyOfOurs) {
  const auto [id, public_key] = make(GetParam(), "web");
  const std::string pin_file = folder().write("engine-pin", pin());
  const tokens::EngineUse use{
      fmt::format("openssl_conf = a\n[a]\nengines = b\n[b]\np = c\n[c]\nengine_id = pkcs11\n"
                  "dynamic_path = {}\nMODULE_PATH = {}\ninit = 0\n",
                  tokens::pkcs11_engine(), softhsm_path()),
      "pkcs11:token=test;object=web?pin-source=file:" + pin_file, std::nullopt};
  const ossl::Scheme scheme = ossl::choose_scheme(public_key.get(), "", "");
  EXPECT_NO_THROW(tokens::sign_through_engine(use, public_key.get(), {{scheme}}));
}

INSTANTIATE_TEST_SUITE_P(Types, Libp11Test,
                         testing::Values("rsa:2048", "rsa:3072", "ec:p256", "ec:p384", "ec:p521"),
                         [](const auto& type) {
                           std::string name = type.param;
                           name.erase(name.find(':'), 1);
                           return name;
                         });

// What `use` refuses beforehand; when this fails, libp11 has learnt it.
TEST_F(Libp11Test, AnEd25519KeyHidesAllOthersFromLibp11) {
  make("ec:p256", "web");
  make("ed25519", "ed");
  const Libp11 libp11(pin());
  std::vector<PKCS11_KEY*> keys;
  EXPECT_EQ(libp11.list(keys), -1);
}

class EngineTest : public Libp11Test {
 protected:
  void SetUp() override {
    Libp11Test::SetUp();
    if (IsSkipped()) return;
    public_key_ = make("ec:p256", "web").second;
    folder().write("engine-pin", pin());
  }
  // The error that the engine's use ends with.
  Error failure(const std::string& module, const std::string& what, const std::string& pin_file) {
    const tokens::EngineUse use{
        fmt::format("openssl_conf = a\n[a]\nengines = b\n[b]\np = c\n[c]\nengine_id = pkcs11\n"
                    "dynamic_path = {}\nMODULE_PATH = {}\ninit = 0\n",
                    tokens::pkcs11_engine(), module),
        fmt::format("pkcs11:token=test;{}?pin-source=file:{}", what, folder() / pin_file),
        std::nullopt};
    const ossl::Scheme scheme = ossl::choose_scheme(public_key_.get(), "", "");
    return error_of([&] { tokens::sign_through_engine(use, public_key_.get(), {{scheme}}); });
  }
  const EVP_PKEY* public_key() const { return public_key_.get(); }

 private:
  ossl::PKey public_key_;
};

TEST_F(EngineTest, AKeyThatIsNotThereIsReportedInLibp11sWords) {
  const Error error = failure(softhsm_path(), "object=nosuch", "engine-pin");
  EXPECT_EQ(error.kind(), Kind::token_failed);
  EXPECT_THAT(error.what(), HasSubstr("load the key through OpenSSL's pkcs11 engine: "));
  EXPECT_THAT(error.what(), HasSubstr("private key was not found at: pkcs11:token=test;"));
}

TEST_F(EngineTest, ALineFeedInThePinFileIsSentAsAPartOfThePin) {
  folder().write("with-line-feed", pin() + "\n");
  EXPECT_THAT(failure(softhsm_path(), "object=web", "with-line-feed").what(),
              HasSubstr("Login failed"));
}

TEST_F(EngineTest, APinFileThatIsNotThereIsNamed) {
  EXPECT_THAT(failure(softhsm_path(), "object=web", "nosuch").what(),
              HasSubstr("Could not open file " + (folder() / "nosuch")));
}

TEST_F(EngineTest, ASignatureOfAnotherKeyDoesNotPass) {
  make("ec:p256", "other");
  EXPECT_THAT(failure(softhsm_path(), "object=other", "engine-pin").what(),
              HasSubstr("does not verify with the key's public half"));
}

TEST_F(EngineTest, AModuleThatCrashesEndsTheChildAlone) {
  inject("raise before C_Sign always SIGSEGV");
  EXPECT_THAT(failure(reach.module_path, "object=web", "engine-pin").what(),
              HasSubstr("sign through OpenSSL's pkcs11 engine: it crashed (Segmentation fault)"));
}

TEST_F(EngineTest, AModuleThatIsNotThereIsNamed) {
  EXPECT_THAT(failure("/nowhere/module.so", "object=web", "engine-pin").what(),
              HasSubstr("Unable to load module /nowhere/module.so"));
}

TEST_F(EngineTest, AnEngineThatIsNotThereIsReported) {
  const ossl::Scheme scheme = ossl::choose_scheme(public_key(), "", "");
  const tokens::EngineUse use{
      "openssl_conf = a\n[a]\nengines = b\n[b]\np = c\n[c]\nengine_id = pkcs11\n"
      "dynamic_path = /nowhere/engine.so\n",
      "pkcs11:", std::nullopt};
  const Error error = error_of(
      [&] { tokens::sign_through_engine(use, const_cast<EVP_PKEY*>(public_key()), {{scheme}}); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("load the engine"));
}

}  // namespace
}  // namespace hsmith::tests
