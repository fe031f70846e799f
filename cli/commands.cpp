#include "cli/commands.h"

namespace hsmith::cli {
namespace {

constexpr Noun kNouns[] = {
    {"token", "Look at tokens, initialise them, set their PINs"},
    {"key", "Make, list, rename and delete keys on a token"},
    {"sign", "Sign files with a key on a token"},
    {"verify", "Verify a signature"},
};

constexpr Command kCommands[] = {
    {"token", "list", "List slots and tokens of all modules", add_token_list},
    {"token", "info", "Show one token whole", add_token_info},
    {"token", "init", "Initialise a token and set its PINs", add_token_init},
    {"token", "pin", "Change or unblock the user PIN", add_token_pin},
    {"key", "generate", "Make a key on the token", add_key_generate},
    {"key", "list", "List the keys of a token", add_key_list},
    {"key", "show", "Show one key", add_key_show},
    {"key", "public", "Write the public half of a key", add_key_public},
    {"key", "rename", "Give a key and what goes with it another label", add_key_rename},
    {"key", "delete", "Delete a key and what goes with it", add_key_delete},
    {"sign", nullptr, "Sign files with a key on a token", add_sign},
    {"verify", nullptr, "Verify a signature", add_verify},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }
std::span<const Noun> nouns() { return kNouns; }

}  // namespace hsmith::cli
