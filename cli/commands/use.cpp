// hsmith use: the configuration for a program that is to use a key on a token.
#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <ctime>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/chain_store.h"
#include "cli/commands.h"
#include "cli/programs.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/public_formats.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"
#include "tokens/account.h"
#include "tokens/interop.h"
#include "tokens/matching.h"
#include "tokens/openssh.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string key;
  std::string program;
  std::string pin_file;
  std::optional<std::string> user;
  std::string out_dir;
  std::string listen = "127.0.0.1:8443";
  bool test = false;
};

// What the token says, all read before its module is closed again.
struct Found {
  UsedKey key;
  ossl::PKey public_key;
};

enum class Path { engine, openssh };

// A program, and how it reaches a key.
struct Program {
  const char* name;
  ProgramSetup (*setup)(const UsedKey&);
  Path path;
  bool needs_certificate;
  bool serves;                     // runs as a user of its own
  bool signs_with_pss;             // RSA: TLS 1.3 wants that
  bool uses_agent;                 // which sends the PIN to all tokens of the module
  bool wants_empty_queue = false;  // takes OpenSSL's old errors for new ones
};
constexpr Program kPrograms[] = {
    {"openssl", openssl_setup, Path::engine, false, false, false, false},
    {"nginx", nginx_setup, Path::engine, true, true, true, false, true},
    {"apache", apache_setup, Path::engine, true, true, true, false},
    {"curl", curl_setup, Path::engine, true, false, true, false},
    {"osslsigncode", osslsigncode_setup, Path::engine, true, false, false, false},
    {"ssh", ssh_setup, Path::openssh, false, false, false, false},
    {"git", git_setup, Path::openssh, false, false, false, true},
};
constexpr const char* kNames = "openssl, nginx, apache, curl, ssh, git or osslsigncode";

const Program& program_named(const std::string& name) {
  std::vector<std::string> known;
  for (const Program& program : kPrograms) {
    if (name == program.name) return program;
    known.emplace_back(program.name);
  }
  const auto hint = fmt::format("supported are {}", kNames);
  if (name == "haproxy") {
    throw Error(Kind::unsupported,
                "configure haproxy: the one of Debian 12 reads private keys from files only")
        .hint(hint);
  }
  const auto near = did_you_mean(name, known);
  throw Error(Kind::usage, fmt::format("--for {}: there is no such program", quoted(name)))
      .hint(near ? fmt::format("did you mean {}?", *near) : hint);
}

bool is_port(const std::string& text) {
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, port);
  return failed == std::errc() && rest == end && port >= 1 && port <= 65535;
}

// "*", a name, an IPv4 address, or an IPv6 address in brackets.
bool is_host(const std::string& text) {
  in6_addr address{};
  if (text.starts_with('[') && text.ends_with(']'))
    return inet_pton(AF_INET6, text.substr(1, text.size() - 2).c_str(), &address) == 1;
  constexpr const char* kDigits = "0123456789.";
  if (text.find_first_not_of(kDigits) == std::string::npos)
    return inet_pton(AF_INET, text.c_str(), &address) == 1;
  return text == "*" || text.find_first_not_of(
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            ".-") == std::string::npos;
}

// Throws usage for what no server could listen on.
void check_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  const bool has_host = colon != std::string::npos;
  const std::string port = has_host ? listen.substr(colon + 1) : listen;
  if (is_port(port) && (!has_host || is_host(listen.substr(0, colon)))) return;
  throw Error(Kind::usage, fmt::format("--listen {}: not ADDRESS:PORT or PORT", quoted(listen)))
      .hint("an address is *, a name, 127.0.0.1 or [::1], a port 1 to 65535");
}

void check_options(const Options& options, const Program& program, const Context& context) {
  if (options.test && options.pin_file.empty()) {
    throw Error(Kind::usage, "use --test: the program needs a PIN, and no file with it is named")
        .hint("add --pin-file FILE: the file that the program will read");
  }
  if (!options.pin_file.empty() && context.options.pin_source) {
    throw Error(Kind::usage, "use: --pin-file and --pin-source both name the PIN")
        .hint("leave --pin-source out: hsmith logs in with what is in the --pin-file");
  }
  if (options.user && !program.serves && !options.test) {
    throw Error(Kind::usage, "use --as-user: that goes with --test, or with nginx or apache");
  }
  if (options.user && options.test) tokens::account_of(*options.user);
  check_listen(options.listen);
}

// Of the certificates of the key the one that is valid longest, and what issued it as far as that
// is here, without the root.
std::string certificates_pem(const std::string& program, const tokens::Inventory& inventory,
                             const tokens::Key& key, const EVP_PKEY* public_key, Context& context) {
  const std::vector<ossl::Certificate> all = chain_pool(inventory, context);
  X509* leaf = nullptr;
  for (const ossl::Certificate& one : all) {
    const EVP_PKEY* certified = X509_get0_pubkey(one.get());
    if (certified == nullptr || !ossl::same_public_key(certified, public_key)) continue;
    if (leaf == nullptr ||
        ASN1_TIME_compare(X509_get0_notAfter(one.get()), X509_get0_notAfter(leaf)) > 0) {
      leaf = one.get();
    }
  }
  if (leaf == nullptr) {
    throw Error(Kind::not_found,
                fmt::format("configure {} for {}: the key has no certificate on the token", program,
                            key.uri))
        .hint("install it with: hsmith request complete FILE");
  }
  const auto chain = x509::server_chain(leaf, all, std::time(nullptr));
  return x509::certificates_pem(chain);
}

// Throws ambiguous when a URI without the empty id or label of the key means other keys too.
void check_names_one(const tokens::Inventory& inventory, const tokens::Key& key) {
  std::vector<std::string> named;
  for (const tokens::Key& one : inventory.private_keys) {
    if (!key.id.empty() && one.id != key.id) continue;
    if (!key.label.empty() && one.label != key.label) continue;
    named.push_back(one.uri);
  }
  const std::size_t count = named.size();
  if (count == 1) return;
  throw Error(
      Kind::ambiguous,
      fmt::format("name {} for a program: {}, and without it the URI means {} keys", key.uri,
                  key.id.empty() ? "its id is empty" : "its label is empty", count))
      .hint(fmt::format("give it a label that no other key has: hsmith key rename {} NEW",
                        shell_word(key.uri)))
      .candidates(std::move(named));
}

// The key's URI, with the token's serial number where the label alone does not tell it, and without
// an empty id or label: not every program knows that this means a key that has none.
std::string exact_uri(const tokens::OpenToken& token, const tokens::Inventory& inventory,
                      const tokens::Key& key) {
  const auto slots = token.module->slots(CK_TRUE);
  const auto same_label = std::count_if(slots.begin(), slots.end(), [&](CK_SLOT_ID slot) {
    return token.module->token_info(slot).label == token.info.label;
  });
  tokens::Uri uri = tokens::parse_uri(key.uri);
  if (same_label > 1) uri.serial = token.info.serial;
  if (key.id.empty()) uri.id.reset();
  if (key.label.empty()) uri.object.reset();
  if (key.id.empty() || key.label.empty()) check_names_one(inventory, key);
  return tokens::format(uri);
}

// Throws unsupported when the program could not use the key.
void check_usable(const Program& program, const tokens::OpenToken& token,
                  const tokens::Inventory& inventory, const tokens::Key& key, bool test) {
  if (program.path == Path::engine) return tokens::check_usable_by_libp11(inventory, key);
  tokens::check_usable_by_openssh(inventory, key);
  // The test of ssh uses an agent too.
  if (program.uses_agent || test) tokens::check_only_token(token);
}

// By the names under which the program finds them.
void set_paths(const Options& options, const Program& program, const tokens::Reach& way,
               UsedKey& key) {
  if (!options.pin_file.empty()) {
    key.pin_file = fs::canonical(options.pin_file);
    key.uri = with_pin_file(key.uri, key.pin_file);
  }
  key.module = fs::absolute(way.module_path);
  if (program.path == Path::engine) key.engine = tokens::pkcs11_engine();
  // ssh-agent compares it with its list after following links.
  if (program.path == Path::openssh) key.module = fs::canonical(way.module_path);
  key.module_init = way.module_init;
  key.folder = (fs::current_path() / options.out_dir).lexically_normal();
}

// Whom the server becomes. Apache does not serve as root; Debian's serves as www-data.
void set_user(const Options& options, const Program& program, UsedKey& key) {
  const bool is_apache = options.program == "apache";
  if (!program.serves) return;
  key.user = options.user;
  if (!key.user && geteuid() == 0) key.user = is_apache ? "www-data" : "root";
  if (!key.user) return;
  const tokens::Account account = [&] {
    try {
      return tokens::find_account(*key.user);
    } catch (const Error&) {
      if (options.user) throw;
      throw Error(Kind::not_found, fmt::format("configure {}: this machine has no user {}",
                                               options.program, *key.user))
          .hint("name whom it serves as: --as-user USER");
    }
  }();
  if (is_apache && account.user == 0) {
    throw Error(Kind::unsupported,
                fmt::format("configure apache for the user {}: it does not serve as root",
                            quoted(*key.user)))
        .hint("leave --as-user out: Apache then serves as www-data");
  }
  key.group = tokens::group_name(account);
}

Found find(const Options& options, const Program& program, Context& context) {
  if (!options.pin_file.empty()) {
    if (program.path == Path::engine) tokens::check_pin_file_for_libp11(options.pin_file);
    context.options.pin_source = "file:" + options.pin_file;
  }
  const tokens::Selector selector = tokens::parse_selector(options.key);
  const tokens::Reach way = reach(context, &selector);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, way, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  check_usable(program, token, inventory, key, options.test);
  Found found;
  found.public_key = tokens::proved_public_key_of(token, key);
  found.key.uri = exact_uri(token, inventory, key);
  set_paths(options, program, way, found.key);
  found.key.name = file_name_for(key.label.empty() ? hex(key.id) : key.label);
  found.key.listen = options.listen;
  set_user(options, program, found.key);
  if (program.path == Path::openssh)
    found.key.ssh_public_key = ossl::ssh_public_key(found.public_key.get());
  if (program.needs_certificate)
    found.key.certificates =
        certificates_pem(options.program, inventory, key, found.public_key.get(), context);
  return found;
}

// The signatures that the program will make.
std::vector<ossl::Scheme> schemes_of(const Program& program, const EVP_PKEY* public_key) {
  std::vector<ossl::Scheme> schemes{ossl::choose_scheme(public_key, "", "")};
  if (program.signs_with_pss && ossl::algorithm_of(public_key) == ossl::KeyAlgorithm::rsa)
    schemes.push_back(ossl::choose_scheme(public_key, "pss", "sha256"));
  return schemes;
}

// Whole as it stands it is a shell's comment or a file of the setup, so that it may be pasted.
std::string text_of(const ProgramSetup& setup, const fs::path& folder, bool written) {
  std::string text;
  for (const ProgramFile& file : setup.files) {
    text += fmt::format("# {}\n", printable((folder / file.name).string()));
    if (!written) text += file.content + "\n";
  }
  text += "# in the environment of the program:\n";
  for (const auto& [name, value] : setup.environment) {
    text += fmt::format("#   {}={}\n", name, shell_word(value));
  }
  text +=
      written
          ? "# to try it:\n"
          : "# to try it, when each file is saved under its name (--out-dir FOLDER saves them):\n";
  for (const std::string& command : setup.commands) text += "#   " + command + "\n";
  return text;
}

Json json_of(const ProgramSetup& setup, const Found& found) {
  Json json{{"uri", found.key.uri}, {"files", Json::array()}};
  for (const ProgramFile& file : setup.files) {
    json["files"].push_back({{"name", file.name},
                             {"path", json_text((found.key.folder / file.name).string())},
                             {"content", json_text(file.content)}});
  }
  json["environment"] = Json::object();
  for (const auto& [name, value] : setup.environment) json["environment"][name] = json_text(value);
  json["commands"] = Json::array();
  for (const std::string& command : setup.commands) json["commands"].push_back(json_text(command));
  return json;
}

// Throws before anything is written when one of the files is there already.
void check_files(const ProgramSetup& setup, const fs::path& folder, Replace replace) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return;
  for (const ProgramFile& file : setup.files) check_output(folder / file.name, replace);
}

void write_files(const ProgramSetup& setup, const fs::path& folder, Replace replace) {
  std::error_code failed;
  fs::create_directories(folder, failed);  // readable: the program may run as another user
  for (const ProgramFile& file : setup.files) {
    const FileMode mode = file.is_program ? FileMode{0755} : kPublicFile;
    write_file(folder / file.name, as_bytes(file.content), mode, replace);
  }
}

Outcome planned_files(const ProgramSetup& setup, const fs::path& folder) {
  std::vector<Change> changes;
  for (const ProgramFile& file : setup.files) {
    changes.push_back({Change::Kind::create, "file " + (folder / file.name).string()});
  }
  return planned(changes);
}

// Whom the program will run as, where that may be another user than hsmith's: without --as-user the
// one that a server's configuration names.
std::optional<std::string> user_of(const Program& program, const Options& options,
                                   const Found& found) {
  if (options.user || !program.serves || found.key.user == "root") return options.user;
  return found.key.user;
}

// Signs as the program will; what was signed.
std::vector<std::string> sign_as(const Program& program, const std::optional<std::string>& user,
                                 const Found& found) {
  if (program.path == Path::openssh) {
    tokens::sign_through_openssh(
        {found.key.module, found.key.ssh_public_key, askpass_program(found.key.pin_file), user});
    return {"SSH signature"};
  }
  const auto schemes = schemes_of(program, found.public_key.get());
  tokens::sign_through_engine(
      {openssl_configuration(found.key), found.key.uri, user, program.wants_empty_queue},
      found.public_key.get(), schemes);
  std::vector<std::string> signatures;
  for (const ossl::Scheme& scheme : schemes)
    signatures.push_back(ossl::describe(found.public_key.get(), scheme));
  return signatures;
}

void try_it(const Program& program, const Options& options, const Found& found, Outcome& outcome) {
  const std::optional<std::string> user = user_of(program, options, found);
  outcome.data["test"] = Json{{"signatures", sign_as(program, user, found)}};
  if (user) outcome.data["test"]["user"] = json_text(*user);
  outcome.text += fmt::format("# tested{}: {}\n", user ? " as " + *user : std::string(),
                              "the key was loaded this way and signed; the signature verifies");
}

Outcome run(const Options& options, Context& context) {
  const Program& program = program_named(options.program);
  check_options(options, program, context);
  const Found found = find(options, program, context);
  const ProgramSetup setup = program.setup(found.key);
  const bool write = !options.out_dir.empty();
  if (write) check_files(setup, found.key.folder, context.replace());
  Outcome outcome;
  outcome.data = json_of(setup, found);
  outcome.text = text_of(setup, found.key.folder, write);
  if (options.test) try_it(program, options, found, outcome);
  if (write && context.options.plan) return planned_files(setup, found.key.folder);
  if (write) write_files(setup, found.key.folder, context.replace());
  return outcome;
}

}  // namespace

void add_use(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("KEY", options->key, "Label, id:HEX or PKCS#11 URI of the key").required();
  command.add_option("--for", options->program, kNames).required();
  command.add_option("--pin-file", options->pin_file,
                     "File with the PIN that the program is to read");
  command.add_option("--as-user", options->user, "Whom the program runs as (with --test: as root)");
  command.add_flag("--test", options->test, "Load the key as the program would, and sign with it");
  command.add_option("--out-dir", options->out_dir, "Write the files into this folder");
  command.add_option("--listen", options->listen, "Servers: where (default 127.0.0.1:8443)");
  command.footer(
      "Examples:\n  hsmith use web --for nginx --pin-file /etc/nginx/pin --out-dir /etc/nginx/web "
      "--test\n"
      "  hsmith use login --for ssh --pin-file pin --out-dir ~/.ssh/token --test");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
