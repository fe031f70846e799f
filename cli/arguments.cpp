#include "cli/arguments.h"

#include <CLI/CLI.hpp>

namespace hsmith::cli {

Argument& Argument::required() {
  option_->required();
  return *this;
}

Argument& Argument::one_of(std::vector<std::string> words) {
  option_->check(CLI::IsMember(std::move(words)));
  return *this;
}

Argument& Argument::within(int least, int most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Argument& Argument::one_each() {
  option_->allow_extra_args(false);
  return *this;
}

Argument& Argument::excludes(const Argument& other) {
  option_->excludes(other.option_);
  return *this;
}

Argument& Argument::needs(const Argument& other) {
  option_->needs(other.option_);
  return *this;
}

Argument& Argument::preset(const std::string& value) {
  option_->default_val(value);
  return *this;
}

Argument& Argument::hidden() {
  option_->group("");
  return *this;
}

Argument Arguments::add_option(const std::string& names, std::string& value,
                               const std::string& about) {
  return Argument(app_->add_option(names, value, about));
}

Argument Arguments::add_option(const std::string& names, std::optional<std::string>& value,
                               const std::string& about) {
  // CLI11 itself takes an empty value for none.
  const auto set = [&value](const std::string& given) { value = given; };
  return Argument(app_->add_option_function<std::string>(names, set, about));
}

Argument Arguments::add_option(const std::string& names, std::vector<std::string>& value,
                               const std::string& about) {
  return Argument(app_->add_option(names, value, about));
}

Argument Arguments::add_option(const std::string& names, int& value, const std::string& about) {
  return Argument(app_->add_option(names, value, about));
}

Argument Arguments::add_option(const std::string& names, unsigned& value,
                               const std::string& about) {
  return Argument(app_->add_option(names, value, about));
}

Argument Arguments::add_option(const std::string& names, std::optional<int>& value,
                               const std::string& about) {
  return Argument(app_->add_option(names, value, about));
}

Argument Arguments::add_flag(const std::string& names, bool& value, const std::string& about) {
  return Argument(app_->add_flag(names, value, about));
}

Argument Arguments::option(const std::string& name) { return Argument(app_->get_option(name)); }

void Arguments::require_one_of(const std::string& group, const std::vector<Argument>& flags) {
  auto* one = app_->add_option_group(group);
  for (const Argument& flag : flags) one->add_option(flag.option_);
  one->require_option(1);
}

void Arguments::footer(const std::string& text) { app_->footer(text); }

void Arguments::callback(std::function<void()> chosen) { app_->callback(std::move(chosen)); }

Arguments Arguments::add_verb(const std::string& name, const std::string& about) {
  app_->require_subcommand(1);
  return Arguments(app_->add_subcommand(name, about));
}

}  // namespace hsmith::cli
