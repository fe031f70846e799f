#include "tests/support/fault_module/call.h"

#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <shared_mutex>
#include <signal.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "tests/support/fault_module/operation.h"
#include "tests/support/fault_module/state.h"

namespace hsmith::fault {
namespace {

bool is_about(const Rule& rule, const Call& call) {
  if (rule.function != Function::any && rule.function != call.function) return false;
  switch (rule.action) {
    case Action::size_query:
      return call.arguments.asks_size();
    case Action::flip:
    case Action::fill:
    case Action::repeat:
    case Action::length:
    case Action::ok_without_writing:
      return !call.arguments.asks_size();
    default:
      return true;
  }
}

void write_log(const Call& call, const std::string& result) {
  const Arguments& given = call.arguments;
  std::string line = std::to_string(call.sequence) + " " + name_of(call.function) + " " + result;
  if (given.mechanism) line += " mechanism=" + name_of(Names::ckm, *given.mechanism);
  for (const auto& attributes : given.templates) {
    line += " attributes=";
    for (const CK_ATTRIBUTE& attribute : attributes) {
      if (line.back() != '=') line += ',';
      line += name_of(Names::cka, attribute.type);
    }
  }
  if (given.input) line += " in=" + std::to_string(*given.input);
  if (call.result == CKR_OK && given.output && given.output->length != nullptr) {
    line += given.asks_size() ? " size=" : " out=";
    line += std::to_string(*given.output->length);
  }
  if (call.real && (call.real != call.result || result == "-")) {
    line += " real=" + name_of(Names::ckr, *call.real);
  }
  for (const Rule* rule : call.rules) line += " rule=" + std::to_string(rule->line);
  state().log(line + " pid=" + std::to_string(getpid()));
}

[[noreturn]] void fail_assertion(const Rule& rule, const Call& call, const std::string& why) {
  write_log(call, "-");
  state().fail_assertion(rule, why);
}

[[noreturn]] void hang(const Call& call) {
  write_log(call, "-");
  for (;;) pause();
}

// SIGSTOP and signals that the program handles let it go on.
void die(const Call& call, int signal) {
  write_log(call, "-");
  raise(signal);
}

void end_operation(const Call& call) {
  const std::shared_lock in_real_module(state().in_real_module);
  end_operation(*state().real, call.function, call.arguments.session);
}

void leave_thread() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([] {
    for (;;) pause();
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void close_sessions() {
  const std::lock_guard in_real_module(state().in_real_module);
  const std::lock_guard lock(state().mutex);
  for (const auto& [session, slot] : state().sessions) state().real->C_CloseAllSessions(slot);
  state().sessions.clear();
}

void print(std::FILE* stream, const Rule& rule) {
  std::fwrite(rule.value->data(), 1, rule.value->size(), stream);
  std::fflush(stream);
}

void act_before(const Rule& rule, Call& call) {
  switch (rule.action) {
    case Action::fail:
      call.result = rule.number;
      if (call.result != CKR_BUFFER_TOO_SMALL) end_operation(call);
      return;
    case Action::ok_without_writing:
      call.result = CKR_OK;
      if (!std::string_view(name_of(call.function)).ends_with("Update")) end_operation(call);
      return;
    case Action::hide_mechanism:
      call.result = CKR_MECHANISM_INVALID;
      return;
    case Action::refuse_attribute:
      call.result = rule.number;
      return;
    case Action::delay:
      std::this_thread::sleep_for(std::chrono::milliseconds(rule.number));
      return;
    case Action::hang:
      hang(call);
    case Action::kill_before:
      return die(call, SIGKILL);
    case Action::raise_before:
      return die(call, static_cast<int>(rule.number));
    case Action::close_sessions:
      return close_sessions();
    case Action::print_to_stdout:
      return print(stdout, rule);
    case Action::print_to_stderr:
      return print(stderr, rule);
    case Action::set_umask:
      umask(static_cast<mode_t>(rule.number));
      return;
    case Action::change_folder:
      if (chdir(rule.value->c_str()) != 0) state().fail_assertion(rule, "cannot change to it");
      return;
    case Action::set_locale:
      if (std::setlocale(LC_ALL, rule.value->c_str()) == nullptr) {
        state().fail_assertion(rule, "there is no such locale");
      }
      return;
    case Action::ignore_signal:
      signal(static_cast<int>(rule.number), SIG_IGN);
      return;
    case Action::leave_thread:
      return leave_thread();
    default:
      return;
  }
}

// The last answer once more, as far as the caller has room for it.
void repeat(const Rule& rule, const Output& output, Function function) {
  const std::lock_guard lock(state().mutex);
  const auto last = state().last_answers.find(function);
  if (last == state().last_answers.end()) {
    state().fail_assertion(rule, "there is no earlier answer");
  }
  const std::string& bytes = last->second;
  const CK_ULONG length = std::min(output.capacity, bytes.size() / output.element);
  if (length != 0) std::memcpy(output.bytes, bytes.data(), length * output.element);
  if (output.length != nullptr) *output.length = length;
}

void act_after(const Rule& rule, Call& call) {
  const bool answered = call.result == CKR_OK && call.arguments.output;
  switch (rule.action) {
    case Action::fail_after:
      call.result = rule.number;
      return;
    case Action::kill_after:
      return die(call, SIGKILL);
    case Action::raise_after:
      return die(call, static_cast<int>(rule.number));
    case Action::flip:
      if (answered) flip(rule, bytes_of(*call.arguments.output));
      return;
    case Action::fill:
      if (answered) {
        std::ranges::fill(bytes_of(*call.arguments.output),
                          static_cast<unsigned char>(rule.number));
      }
      return;
    case Action::repeat:
      if (answered) repeat(rule, *call.arguments.output, call.function);
      return;
    case Action::length:
    case Action::size_query:
      if (answered && call.arguments.output->length != nullptr) {
        *call.arguments.output->length = rule.length.changed(*call.arguments.output->length);
      }
      return;
    default:
      return;
  }
}

void remember_answer(const Call& call) {
  const auto repeats = [&](const Rule& rule) {
    return rule.action == Action::repeat && rule.function == call.function;
  };
  if (call.result != CKR_OK || !call.arguments.output || call.arguments.asks_size()) return;
  if (std::ranges::none_of(state().rules, repeats)) return;
  const auto bytes = bytes_of(*call.arguments.output);
  const std::lock_guard lock(state().mutex);
  state().last_answers[call.function].assign(bytes.begin(), bytes.end());
}

bool equal(const CK_ATTRIBUTE& attribute, std::string_view value) {
  return attribute.pValue != nullptr && attribute.ulValueLen == value.size() &&
         std::memcmp(attribute.pValue, value.data(), value.size()) == 0;
}

const CK_ATTRIBUTE* find(std::span<const CK_ATTRIBUTE> attributes, CK_ATTRIBUTE_TYPE type) {
  for (const CK_ATTRIBUTE& attribute : attributes) {
    if (attribute.type == type) return &attribute;
  }
  return nullptr;
}

void check_template(const Rule& rule, const Call& call) {
  const auto& templates = call.arguments.templates;
  if (rule.function != call.function || templates.empty()) return;
  const auto& attributes =
      rule.template_of == TemplateOf::private_key ? templates.back() : templates.front();
  if (rule.object_class) {
    const CK_ATTRIBUTE* object_class = find(attributes, CKA_CLASS);
    const std::string wanted(reinterpret_cast<const char*>(&*rule.object_class),
                             sizeof *rule.object_class);
    if (object_class == nullptr || !equal(*object_class, wanted)) return;
  }
  const CK_ATTRIBUTE* found = find(attributes, rule.attribute);
  if (rule.value && found == nullptr) fail_assertion(rule, call, "it is absent");
  if (rule.value && !equal(*found, *rule.value)) fail_assertion(rule, call, "it differs");
  if (!rule.value && found != nullptr) fail_assertion(rule, call, "it is there");
}

void check_assertion(const Rule& rule, const Call& call) {
  const bool about = rule.function == Function::any || rule.function == call.function;
  switch (rule.action) {
    case Action::assert_at_most:
      if (about && state().count(rule) > rule.number) fail_assertion(rule, call, "it is one more");
      return;
    case Action::assert_never:
      if (about && (rule.after == Function::any || state().counted(rule) > 0)) {
        fail_assertion(rule, call, "it is called");
      }
      if (rule.after == call.function) state().count(rule);
      return;
    case Action::assert_template:
      return check_template(rule, call);
    default:
      return;
  }
}

bool hides_mechanism(const Rule& rule, const Call& call) {
  return rule.action == Action::hide_mechanism && call.arguments.mechanism == rule.number;
}

bool has_attribute(const Rule& rule, const Call& call) {
  return std::ranges::any_of(call.arguments.templates, [&](const auto& attributes) {
    return find(attributes, rule.attribute) != nullptr;
  });
}

bool refuses_attribute(const Rule& rule, const Call& call) {
  return rule.action == Action::refuse_attribute && takes_template(call.function) &&
         has_attribute(rule, call);
}

bool drops_attribute(const Rule& rule, const Call& call) {
  return rule.action == Action::drop_attribute && rule.function == call.function &&
         has_attribute(rule, call);
}

}  // namespace

std::span<unsigned char> bytes_of(const Output& output) {
  const CK_ULONG length = output.length == nullptr ? output.capacity : *output.length;
  return {output.bytes, std::min(length, output.capacity) * output.element};
}

void flip(const Rule& rule, std::span<unsigned char> bytes) {
  const bool from_end = rule.number > SIZE_MAX / 2;
  const std::size_t index = from_end ? bytes.size() + rule.number : rule.number;
  if (index >= bytes.size()) {
    state().fail_assertion(rule, "the answer has " + std::to_string(bytes.size()) + " bytes");
  }
  bytes[index] ^= 1;
}

Call begin(Function function, Arguments arguments) {
  Call call;
  call.function = function;
  call.arguments = std::move(arguments);
  if (!state().problem.empty()) {
    call.result = CKR_CRYPTOKI_NOT_INITIALIZED;
    return call;
  }
  call.sequence = state().next_sequence();
  for (const Rule& rule : state().rules) {
    const bool acts = rule.on_calls && is_about(rule, call) && state().acts(rule);
    if (acts || hides_mechanism(rule, call) || refuses_attribute(rule, call) ||
        drops_attribute(rule, call))
      call.rules.push_back(&rule);
  }
  for (const Rule& rule : state().rules) check_assertion(rule, call);
  for (const Rule* rule : call.rules) act_before(*rule, call);
  return call;
}

CK_RV finish(Call& call) {
  if (!state().problem.empty()) return *call.result;
  if (!call.result) call.result = call.real;
  for (const Rule* rule : call.rules) act_after(*rule, call);
  remember_answer(call);
  write_log(call, name_of(Names::ckr, *call.result));
  return *call.result;
}

}  // namespace hsmith::fault
