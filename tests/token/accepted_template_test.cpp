#include "tokens/accepted_template.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <set>

#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"

namespace hsmith::tests {
namespace {

using pkcs11::Template;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using tokens::Accepted;
using tokens::OpenToken;

class AcceptedTemplateTest : public SoftHsmTest {
 protected:
  // A private key's template, as far as the search is about it.
  static Template private_key() {
    Template key;
    key.set_bool(CKA_TOKEN, true)
        .set_bool(CKA_PRIVATE, true)
        .set_bool(CKA_SENSITIVE, true)
        .set_bool(CKA_SIGN_RECOVER, false)
        .set_bool(CKA_EXTRACTABLE, false)
        .set_bool(CKA_SIGN, true)
        .set_bool(CKA_WRAP, false)
        .set_bool(CKA_UNWRAP, false);
    return key;
  }

  // A token that refuses a template with all attributes of one of these sets. What it makes is a
  // data object.
  static tokens::MakeObjects refusing(std::vector<std::set<CK_ATTRIBUTE_TYPE>> sets,
                                      const char* ckr = "CKR_TEMPLATE_INCONSISTENT") {
    return [=](const pkcs11::Session& session, std::span<const Template> templates) {
      std::set<CK_ATTRIBUTE_TYPE> has;
      bool lasting = false;
      for (const CK_ATTRIBUTE& one : templates.front().view()) {
        has.insert(one.type);
        if (one.type == CKA_TOKEN) lasting = *static_cast<const CK_BBOOL*>(one.pValue) != 0;
      }
      for (const auto& set : sets) {
        if (std::includes(has.begin(), has.end(), set.begin(), set.end()))
          throw Error(Kind::token_failed, std::string("C_CreateObject: ") + ckr).ckr(ckr);
      }
      Template data;
      data.set_number(CKA_CLASS, CKO_DATA).set_bool(CKA_TOKEN, lasting);
      return std::vector{session.create(data)};
    };
  }

  Accepted make(const tokens::MakeObjects& how) {
    return tokens::make_as_accepted(open(), {private_key()}, how, [&] { ++cleaned; });
  }
  Error failure(const tokens::MakeObjects& how) {
    return error_of([&] { make(how); });
  }

  int cleaned = 0;
};

TEST_F(AcceptedTemplateTest, WhatATokenTakesIsMadeAtOnce) {
  const Accepted made = make(refusing({}));
  EXPECT_EQ(made.objects.size(), 1u);
  EXPECT_THAT(made.notes, IsEmpty());
  EXPECT_EQ(cleaned, 0);
}

TEST_F(AcceptedTemplateTest, AnAttributeThatProtectsNothingIsLeftOutAndNamed) {
  for (const char* ckr :
       {"CKR_ATTRIBUTE_TYPE_INVALID", "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_TEMPLATE_INCONSISTENT"}) {
    cleaned = 0;
    const Accepted made = make(refusing({{CKA_SIGN_RECOVER}}, ckr));
    EXPECT_THAT(made.notes, ElementsAre("the token does not take CKA_SIGN_RECOVER; the key was "
                                        "made without it"));
    EXPECT_EQ(cleaned, 1) << ckr;
  }
}

TEST_F(AcceptedTemplateTest, SeveralThatProtectNothingAreAllLeftOut) {
  const Accepted made = make(refusing({{CKA_SIGN_RECOVER}, {CKA_WRAP}}));
  ASSERT_EQ(made.notes.size(), 1u);
  EXPECT_THAT(made.notes[0], HasSubstr("CKA_SIGN_RECOVER"));
  EXPECT_THAT(made.notes[0], HasSubstr("CKA_WRAP"));
}

TEST_F(AcceptedTemplateTest, AnAttributeThatProtectsIsNamedAndNeverLeftOut) {
  for (const CK_ATTRIBUTE_TYPE type : {CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_PRIVATE, CKA_UNWRAP}) {
    const Error error = failure(refusing({{type}}, "CKR_ATTRIBUTE_VALUE_INVALID"));
    EXPECT_EQ(error.kind(), Kind::unsupported);
    EXPECT_EQ(error.ckr(), "CKR_ATTRIBUTE_VALUE_INVALID");
    EXPECT_THAT(error.what(), HasSubstr("without which the key would not be what was asked for"));
  }
  EXPECT_THAT(failure(refusing({{CKA_SENSITIVE}})).what(),
              HasSubstr("does not take CKA_SENSITIVE,"));
  EXPECT_THAT(failure(refusing({{CKA_SENSITIVE}, {CKA_WRAP}})).what(),
              HasSubstr("does not take CKA_SENSITIVE,"));
}

TEST_F(AcceptedTemplateTest, OfTwoThatAreRefusedTogetherTheOneThatProtectsNothingIsLeftOut) {
  for (const auto& pair : {std::set<CK_ATTRIBUTE_TYPE>{CKA_SIGN_RECOVER, CKA_EXTRACTABLE},
                           std::set<CK_ATTRIBUTE_TYPE>{CKA_PRIVATE, CKA_SIGN_RECOVER}}) {
    const Accepted made = make(refusing({pair}));
    ASSERT_EQ(made.notes.size(), 1u);
    EXPECT_THAT(made.notes[0], HasSubstr("CKA_SIGN_RECOVER"));
  }
}

TEST_F(AcceptedTemplateTest, TwoThatProtectAndAreRefusedTogetherAreBothNamed) {
  const Error error = failure(refusing({{CKA_SENSITIVE, CKA_UNWRAP}}));
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("does not take CKA_UNWRAP together with CKA_SENSITIVE,"));
}

TEST_F(AcceptedTemplateTest, WhereNoAttributeIsToBlameTheTokensAnswerStands) {
  const Error error = failure(refusing({{CKA_TOKEN}}));
  EXPECT_EQ(error.ckr(), "CKR_TEMPLATE_INCONSISTENT");
  EXPECT_EQ(error.kind(), Kind::token_failed);
  EXPECT_THAT(error.hint(), EndsWith("none is to blame alone"));
}

TEST_F(AcceptedTemplateTest, ATokenThatRefusesAnAttributeGetsAKeyWithoutItAndNothingElse) {
  inject("refuse-attribute CKA_SIGN_RECOVER CKR_ATTRIBUTE_VALUE_INVALID");
  const OpenToken token = open();
  const tokens::Generated made = generate(token, "rsa:2048", "web");
  EXPECT_THAT(made.notes, testing::Contains(HasSubstr("does not take CKA_SIGN_RECOVER")));
  const tokens::Inventory all = tokens::take_inventory(token);
  EXPECT_EQ(all.private_keys.size() + all.public_keys.size(), 2u);
}

TEST_F(AcceptedTemplateTest, ATokenThatRefusesToKeepAKeyInsideGetsNone) {
  inject("refuse-attribute CKA_EXTRACTABLE CKR_ATTRIBUTE_VALUE_INVALID");
  const OpenToken token = open();
  const Error error = error_of([&] { generate(token, "ec:p256", "web"); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("does not take CKA_EXTRACTABLE"));
  EXPECT_THAT(tokens::take_inventory(token).private_keys, IsEmpty());
}

}  // namespace
}  // namespace hsmith::tests
