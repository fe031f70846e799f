#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/lint_parts.h"
#include "src/x509/name.h"

namespace hsmith::x509 {
namespace {

// Names that no public authority can verify.
bool is_internal(const AltName& name) {
  static constexpr std::array<std::string_view, 12> kDomains{
      "local", "localdomain", "localhost", "internal", "intranet", "lan",
      "home",  "corp",        "private",   "test",     "invalid",  "example"};
  if (name.kind == AltNameKind::ip) {
    const std::vector<std::string> parts = split(name.value, '.');
    if (parts.size() != 4) {
      return name.value == "::1" || name.value.rfind("fc", 0) == 0 ||
             name.value.rfind("fd", 0) == 0 || name.value.rfind("fe80:", 0) == 0;
    }
    const bool is_172 =
        parts[0] == "172" && parts[1].size() == 2 && parts[1] >= "16" && parts[1] <= "31";
    return parts[0] == "10" || parts[0] == "127" || is_172 ||
           (parts[0] == "192" && parts[1] == "168") || (parts[0] == "169" && parts[1] == "254");
  }
  const std::vector<std::string> labels = split(lower(name.value), '.');
  return labels.size() < 2 ||
         std::find(kDomains.begin(), kDomains.end(), labels.back()) != kDomains.end();
}

void lint_name(const AltName& name, Findings& findings) {
  const std::string text = text_of(name);
  if (name.kind == AltNameKind::directory || name.kind == AltNameKind::other) return;
  try {
    std::vector<std::string> unused;
    const std::string kind = alt_name_kind(name.kind);
    // Parsed as a whole: the value may hold a comma.
    const auto parsed = parse_alt_names(kind + ":" + lower(name.value), unused);
    if (parsed.size() != 1 || !unused.empty()) throw Error(Kind::usage, "it is not plain ASCII");
  } catch (const Error& error) {
    add_finding(findings, Severity::error, "name_malformed",
                fmt::format("{}: {}", text, error.what()));
    return;
  }
  if (name.kind != AltNameKind::dns && name.kind != AltNameKind::ip) return;
  if (name.value.rfind("*.", 0) == 0 && split(name.value, '.').size() < 3) {
    add_finding(findings, Severity::error, "wildcard_too_wide",
                fmt::format("the name {} covers a whole top-level domain", text));
  } else if (is_internal(name)) {
    add_finding(
        findings, Severity::warning, "name_internal",
        fmt::format("the name {} is an internal one: no public authority issues for it", text));
  }
}

void lint_name_set(const LintView& view, const Profile& profile, Findings& findings) {
  const auto is_wildcard = [](const AltName& name) {
    return name.kind == AltNameKind::dns && name.value.rfind("*.", 0) == 0;
  };
  const bool wildcard = std::any_of(view.names.begin(), view.names.end(), is_wildcard);
  if (wildcard && profile.wildcard == Presence::forbidden) {
    add_finding(findings, Severity::error, "wildcard_forbidden",
                fmt::format("the profile {} forbids wildcard names", profile.name));
  }
  if (!wildcard && profile.wildcard == Presence::required) {
    add_finding(findings, Severity::error, "wildcard_missing",
                fmt::format("the profile {} needs a wildcard name", profile.name));
  }
  if (profile.most_names > 0 && view.names.size() > static_cast<std::size_t>(profile.most_names)) {
    add_finding(findings, Severity::error, "too_many_names",
                fmt::format("there are {} names, the profile {} allows {}", view.names.size(),
                            profile.name, profile.most_names));
  }
  if (view.names.size() < static_cast<std::size_t>(profile.least_names)) {
    add_finding(findings, Severity::error, "too_few_names",
                fmt::format("there are {} names, the profile {} needs {}", view.names.size(),
                            profile.name, profile.least_names));
  }
  std::set<std::string> kinds;
  for (const AltName& name : view.names) kinds.insert(alt_name_kind(name.kind));
  const auto& one_of = profile.one_of_names;
  const bool has_one = std::any_of(one_of.begin(), one_of.end(),
                                   [&](const std::string& kind) { return kinds.count(kind) > 0; });
  if (!one_of.empty() && !has_one) {
    add_finding(findings, Severity::error, "name_missing",
                fmt::format("the profile {} needs a name of the kind {}", profile.name,
                            fmt::join(one_of, " or ")));
  }
  for (const std::string& kind : kinds) {
    if (!profile.allowed_names.empty() && !contains(profile.allowed_names, kind)) {
      add_finding(findings, Severity::error, "name_not_allowed",
                  fmt::format("the profile {} has no names of the kind {}", profile.name, kind));
    }
  }
}

// RFC 9525: programs look among the names and nowhere else.
void lint_subject_names(const LintView& view, const Profile& profile, Findings& findings) {
  for (const SubjectPart& part : name_parts(view.subject)) {
    if (!contains(profile.names_from_subject, part.type)) continue;
    const bool listed = std::any_of(view.names.begin(), view.names.end(), [&](const AltName& name) {
      return lower(name.value) == lower(part.value);
    });
    if (!listed) {
      add_finding(
          findings, Severity::error, "subject_name_not_listed",
          fmt::format("the subject's {} {} is not among the names", part.type, quoted(part.value)));
    }
  }
}

}  // namespace

void lint_names(const LintView& view, const Profile* profile, Findings& findings) {
  std::set<std::string> seen;
  for (const AltName& name : view.names) {
    lint_name(name, findings);
    if (!seen.insert(lower(text_of(name))).second) {
      add_finding(findings, Severity::warning, "name_twice",
                  fmt::format("the name {} stands there twice", text_of(name)));
    }
  }
  if (profile == nullptr) return;
  lint_name_set(view, *profile, findings);
  lint_subject_names(view, *profile, findings);
}

}  // namespace hsmith::x509
