// Changes of a token: announced in the audit log and written into the journal before they begin.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "cli/context.h"
#include "src/audit/log.h"
#include "src/journal/intents.h"
#include "tokens/keys.h"

namespace hsmith::cli {

std::filesystem::path audit_file(const Context& context);

// Appends an entry with the command's name. Throws io: without an entry nothing may be done.
void record(const Context& context, Json fields, audit::Flush flush);

// One change, from its announcement to its end.
class Undertaking {
 public:
  // Announces it. `facts` is what it takes to finish or to undo it; never a secret.
  Undertaking(Context& context, const pkcs11::TokenInfo& token, Json facts);

  // More is known now: goes into the journal before the next step.
  void know(const std::string& fact, const Json& value);
  // It has happened: the audit log says so, and it is struck out of the journal. Where that fails
  // the error says that it has happened all the same.
  void done();
  // It failed. It stays in the journal only when something of it is left on the token.
  void failed(const Error& error) noexcept;

 private:
  void close(Json fields);

  Context& context_;
  journal::Intent intent_;
  std::filesystem::path entry_;
};

// Strikes out what earlier runs began for this certificate on this token, as it is there now. What
// cannot be struck out is warned of.
void end_earlier(Context& context, const pkcs11::TokenInfo& token, X509* certificate);

// Does what comes after a change that cannot be taken back; where that fails the error says that it
// is done all the same, but for `lack`.
void or_done_anyway(const std::string& lack, const std::function<void()>& work);

// What a deletion destroys, in the order in which it does.
std::vector<Change> deletions(const tokens::KeyObjects& objects);
// The public half of a private key as the journal keeps it; "" where the token does not have it.
std::string public_key_fact(const tokens::Inventory& inventory, const tokens::Key& key);
std::string public_key_fact(const tokens::KeyObjects& objects);
// What the journal keeps of a deletion.
Json deletion_facts(const tokens::KeyObjects& objects);

// The outcome of a command that did nothing but these deletions.
Outcome deleted(const std::vector<Change>& changes);

// Makes the change that `work` is, which gets the Undertaking, and gives back what it returns.
template <typename Work>
auto undertake(Context& context, const pkcs11::TokenInfo& token, Json facts, Work work) {
  Undertaking undertaking(context, token, std::move(facts));
  auto result = [&] {
    try {
      return work(undertaking);
    } catch (const Error& error) {
      undertaking.failed(error);
      throw;
    }
  }();
  undertaking.done();
  return result;
}

}  // namespace hsmith::cli
