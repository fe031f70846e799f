#include "cli/commands.h"

namespace hsmith::cli {

// Declared here and not in the header, which every command includes: a new command then compiles
// this file again and no other.
void add_archive_add(Arguments& command, Context& context);
void add_archive_backup(Arguments& command, Context& context);
void add_archive_coverage(Arguments& command, Context& context);
void add_archive_find(Arguments& command, Context& context);
void add_archive_get(Arguments& command, Context& context);
void add_archive_init(Arguments& command, Context& context);
void add_archive_officer(Arguments& command, Context& context);
void add_archive_receipt(Arguments& command, Context& context);
void add_archive_rekey(Arguments& command, Context& context);
void add_archive_restore(Arguments& command, Context& context);
void add_archive_set(Arguments& command, Context& context);
void add_archive_status(Arguments& command, Context& context);
void add_archive_submit(Arguments& command, Context& context);
void add_archive_verify(Arguments& command, Context& context);
void add_ca_backup(Arguments& command, Context& context);
void add_ca_crl(Arguments& command, Context& context);
void add_ca_exchange_cert(Arguments& command, Context& context);
void add_ca_init(Arguments& command, Context& context);
void add_ca_issue(Arguments& command, Context& context);
void add_ca_list(Arguments& command, Context& context);
void add_ca_renew(Arguments& command, Context& context);
void add_ca_restore(Arguments& command, Context& context);
void add_ca_revoke(Arguments& command, Context& context);
void add_ca_show(Arguments& command, Context& context);
void add_cert_delete(Arguments& command, Context& context);
void add_cert_export(Arguments& command, Context& context);
void add_cert_install(Arguments& command, Context& context);
void add_cert_list(Arguments& command, Context& context);
void add_cert_match(Arguments& command, Context& context);
void add_cert_repair(Arguments& command, Context& context);
void add_cert_retire(Arguments& command, Context& context);
void add_cert_show(Arguments& command, Context& context);
void add_cert_verify(Arguments& command, Context& context);
void add_chain_install(Arguments& command, Context& context);
void add_chain_list(Arguments& command, Context& context);
void add_chain_remove(Arguments& command, Context& context);
void add_chain_show(Arguments& command, Context& context);
void add_completion(Arguments& command, Context& context);
void add_crl_check(Arguments& command, Context& context);
void add_crl_install(Arguments& command, Context& context);
void add_crl_list(Arguments& command, Context& context);
void add_decrypt(Arguments& command, Context& context);
void add_doctor(Arguments& command, Context& context);
void add_encrypt(Arguments& command, Context& context);
void add_key_backup(Arguments& command, Context& context);
void add_key_backup_verify(Arguments& command, Context& context);
void add_key_delete(Arguments& command, Context& context);
void add_key_generate(Arguments& command, Context& context);
void add_key_import(Arguments& command, Context& context);
void add_key_list(Arguments& command, Context& context);
void add_key_prove(Arguments& command, Context& context);
void add_key_public(Arguments& command, Context& context);
void add_key_rename(Arguments& command, Context& context);
void add_key_restore(Arguments& command, Context& context);
void add_key_show(Arguments& command, Context& context);
void add_kra_add(Arguments& command, Context& context);
void add_kra_check(Arguments& command, Context& context);
void add_kra_list(Arguments& command, Context& context);
void add_kra_remove(Arguments& command, Context& context);
void add_kra_request(Arguments& command, Context& context);
void add_log_checkpoint(Arguments& command, Context& context);
void add_log_show(Arguments& command, Context& context);
void add_log_verify(Arguments& command, Context& context);
void add_pfx_check(Arguments& command, Context& context);
void add_pfx_merge(Arguments& command, Context& context);
void add_pfx_show(Arguments& command, Context& context);
void add_quickstart(Arguments& command, Context& context);
void add_recover(Arguments& command, Context& context);
void add_renew(Arguments& command, Context& context);
void add_request_cancel(Arguments& command, Context& context);
void add_request_check(Arguments& command, Context& context);
void add_request_complete(Arguments& command, Context& context);
void add_request_list(Arguments& command, Context& context);
void add_request_new(Arguments& command, Context& context);
void add_request_show(Arguments& command, Context& context);
void add_sandbox(Arguments& command, Context& context);
void add_sign(Arguments& command, Context& context);
void add_token_audit(Arguments& command, Context& context);
void add_token_info(Arguments& command, Context& context);
void add_token_init(Arguments& command, Context& context);
void add_token_list(Arguments& command, Context& context);
void add_token_pin(Arguments& command, Context& context);
void add_token_probe(Arguments& command, Context& context);
void add_use(Arguments& command, Context& context);
void add_verify(Arguments& command, Context& context);

namespace {

constexpr Noun kNouns[] = {
    {"token", "Look at tokens, initialise them, set their PINs"},
    {"key", "Make, list, rename and delete keys on a token"},
    {"request", "Make certificate requests and complete them"},
    {"cert", "Install, show, match and verify certificates"},
    {"kra", "Name the recovery agents of an archive, and check them"},
    {"archive", "Keep keys for recovery, encrypted to agents"},
    {"recover", "Open a recovery blob with an agent's key"},
    {"pfx", "Look into PKCS#12 files, check and merge them"},
    {"renew", "Ask for the successor of a certificate in service"},
    {"crl", "Keep revocation lists, and look certificates up in them"},
    {"chain", "Keep the certificates of authorities between keys and roots"},
    {"ca", "Run a small certification authority whose key is on a token"},
    {"log", "Show, sign and verify the audit log"},
    {"doctor", "Find what stands in the way, finish what was interrupted"},
    {"sign", "Sign files with a key on a token"},
    {"verify", "Verify a signature"},
    {"encrypt", "Encrypt a file for the holders of certificates"},
    {"decrypt", "Decrypt a message with a key on a token"},
    {"sandbox", "Run a command with a private SoftHSM token"},
    {"use", "Configure a program that is to use a key"},
    {"completion", "Print the script by which a shell completes command lines"},
    {"quickstart", "Do the main job from end to end with a token made for it"},
};

// What a noun does that is a command by itself stands in kNouns.
constexpr const char* kOfTheNoun = "";

constexpr Command kCommands[] = {
    {"token", "list", "List slots and tokens of all modules", add_token_list},
    {"token", "info", "Show one token whole", add_token_info},
    {"token", "audit", "Hold every key of a token against a policy", add_token_audit},
    {"token", "probe", "Find out what a token really does", add_token_probe},
    {"token", "init", "Initialise a token and set its PINs", add_token_init},
    {"token", "pin", "Change or unblock the user PIN", add_token_pin},
    {"key", "generate", "Make a key on the token", add_key_generate},
    {"key", "import", "Put a key from a file on the token, not extractable", add_key_import},
    {"key", "backup", "Write keys to a file, wrapped under a trusted key", add_key_backup},
    {"key", "backup-verify", "Open a backup on the token and keep nothing of it",
     add_key_backup_verify},
    {"key", "restore", "Put the keys of a backup on the token", add_key_restore},
    {"key", "list", "List the keys of a token", add_key_list},
    {"key", "show", "Show one key", add_key_show},
    {"key", "public", "Write the public half of a key", add_key_public},
    {"key", "prove", "Prove that a key cannot leave its token, and verify that", add_key_prove},
    {"key", "rename", "Give a key and what goes with it another label", add_key_rename},
    {"key", "delete", "Delete a key and what goes with it", add_key_delete},
    {"request", "new", "Make a certificate request signed by a token key", add_request_new},
    {"request", "show", "Show a certificate request", add_request_show},
    {"request", "check", "Hold a request against a profile and what CAs refuse", add_request_check},
    {"request", "list", "List keys that wait for a certificate", add_request_list},
    {"request", "cancel", "Forget a pending request", add_request_cancel},
    {"request", "complete", "Install the certificate that a CA issued", add_request_complete},
    {"cert", "list", "List the certificates of a token", add_cert_list},
    {"cert", "show", "Show a certificate", add_cert_show},
    {"cert", "export", "Write a certificate to a file", add_cert_export},
    {"cert", "install", "Install a certificate beside its key", add_cert_install},
    {"cert", "match", "Prove that a certificate and a key belong together", add_cert_match},
    {"cert", "verify", "Validate a certificate's path", add_cert_verify},
    {"cert", "delete", "Delete a certificate from the token", add_cert_delete},
    {"cert", "retire", "Delete what a renewal has replaced", add_cert_retire},
    {"kra", "add", "Add a recovery agent", add_kra_add},
    {"kra", "request", "Request the certificate of a recovery agent", add_kra_request},
    {"kra", "check", "Check the certificate of a recovery agent", add_kra_check},
    {"kra", "remove", "Encrypt no further keys to an agent", add_kra_remove},
    {"kra", "list", "List the recovery agents with their states", add_kra_list},
    {"archive", "init", "Make an archive, sealed by a token key", add_archive_init},
    {"archive", "set", "Change a setting of an archive", add_archive_set},
    {"archive", "officer", "Add, remove and list the officers of an archive", add_archive_officer},
    {"archive", "coverage", "Show which keys each agent can open", add_archive_coverage},
    {"archive", "add", "Archive the keys of PKCS#12 files", add_archive_add},
    {"archive", "submit", "Archive the key that a request brings, and issue its certificate",
     add_archive_submit},
    {"archive", "find", "Find archived keys", add_archive_find},
    {"archive", "get", "Export a key's recovery blob, signed by an officer", add_archive_get},
    {"archive", "receipt", "Verify an agent's receipt, and enter it into the log",
     add_archive_receipt},
    {"archive", "rekey", "Give archived keys more agents, opening none", add_archive_rekey},
    {"archive", "status", "Show an archive's settings and counts", add_archive_status},
    {"archive", "verify", "Verify every seal and every row of an archive", add_archive_verify},
    {"archive", "backup", "Copy an archive, and verify the copy", add_archive_backup},
    {"archive", "restore", "Make a backup the archive", add_archive_restore},
    {"recover", nullptr, kOfTheNoun, add_recover},
    {"pfx", "show", "Show what a PKCS#12 file holds", add_pfx_show},
    {"pfx", "check", "Prove that keys and certificates of a PKCS#12 file fit", add_pfx_check},
    {"pfx", "merge", "Merge several PKCS#12 files into one", add_pfx_merge},
    {"renew", nullptr, kOfTheNoun, add_renew},
    {"crl", "install", "Verify revocation lists and keep them", add_crl_install},
    {"crl", "list", "List the revocation lists that are kept", add_crl_list},
    {"crl", "check", "Say whether a certificate is revoked", add_crl_check},
    {"cert", "repair", "Link certificates and keys anew by public key", add_cert_repair},
    {"chain", "install", "Install intermediate and cross-certificates", add_chain_install},
    {"chain", "list", "List the certificates that chains are made of", add_chain_list},
    {"chain", "show", "Show every path from a certificate to every root", add_chain_show},
    {"chain", "remove", "Remove an authority's certificate", add_chain_remove},
    {"ca", "init", "Make an authority: its key, certificate and file", add_ca_init},
    {"ca", "issue", "Issue a certificate for a request", add_ca_issue},
    {"ca", "revoke", "Revoke a certificate", add_ca_revoke},
    {"ca", "crl", "Sign the list of revoked certificates", add_ca_crl},
    {"ca", "exchange-cert", "Give the certificate that keys for an archive are encrypted to",
     add_ca_exchange_cert},
    {"ca", "renew", "Renew the authority's certificate", add_ca_renew},
    {"ca", "backup", "Copy the authority's file, checked; never its key", add_ca_backup},
    {"ca", "restore", "Bring back an authority's file from a backup", add_ca_restore},
    {"ca", "list", "List authorities, or what one has issued", add_ca_list},
    {"ca", "show", "Show or write a certificate that was issued", add_ca_show},
    {"log", "show", "Show the audit log", add_log_show},
    {"log", "checkpoint", "Sign the end of the audit log", add_log_checkpoint},
    {"log", "verify", "Verify the audit log", add_log_verify},
    {"doctor", nullptr, kOfTheNoun, add_doctor},
    {"sign", nullptr, kOfTheNoun, add_sign},
    {"verify", nullptr, kOfTheNoun, add_verify},
    {"encrypt", nullptr, kOfTheNoun, add_encrypt},
    {"decrypt", nullptr, kOfTheNoun, add_decrypt},
    {"sandbox", nullptr, kOfTheNoun, add_sandbox},
    {"use", nullptr, kOfTheNoun, add_use},
    {"completion", nullptr, kOfTheNoun, add_completion},
    {"quickstart", nullptr, kOfTheNoun, add_quickstart},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }
std::span<const Noun> nouns() { return kNouns; }

}  // namespace hsmith::cli
