"""The steps that every token goes through. What a token did is checked by openssl; what it cannot do is hsmith's exit 10."""
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

COMMAND_SECONDS = 120
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
WRONG_PINS = 8


# Kinds of errors by which some card says that it cannot do what PINs are about.
REFUSALS = ("unsupported", "token_failed")


class Failed(Exception):
    """hsmith or a token did something that the table does not foresee."""


class Cannot(Exception):
    """What is missing, in hsmith's words or ours."""


class NoKey(Cannot):
    """There is no key to try it with."""


@dataclass
class Token:
    """How a token is started, and what its set-up knows of it. What it can do is for the steps to find out."""
    title: str
    package: str  # whose version the table shows
    starter: list
    officer: bool = False  # hsmith's hint, "--login-as so", is taken
    ids: tuple = ()  # hsmith's hint, "--id", is taken
    keys_by: tuple = ()  # another way to start it, by which hsmith makes the keys that this one finds
    afterwards: str = ""  # a shell command after each of hsmith's


@dataclass
class Wanted:
    """A key that is to be made, and what for."""
    name: str
    type: str
    use: str


KEYS = (Wanted("rsa", "rsa:2048", "sign"), Wanted("rsa-opens", "rsa:2048", "decrypt"), Wanted("rsa3072", "rsa:3072", "sign"),
        Wanted("rsa4096", "rsa:4096", "sign"), Wanted("p256", "ec:p256", "sign"), Wanted("p256-agrees", "ec:p256", "derive"),
        Wanted("p384", "ec:p384", "sign"), Wanted("p521", "ec:p521", "sign"), Wanted("ed25519", "ed25519", "sign"))
USES = {"decrypt": "decrypt", "derive": "agree"}
FAMILIES = {"rsa": "RSA", "ec": "EC", "ed25519": "Ed25519"}


def kind_of(key):
    """What a key is, in the table's words: "RSA", "EC to agree"."""
    uses = key["uses"]
    return FAMILIES[key["type"].partition(":")[0]] + (
        "" if "sign" in uses else " to decrypt" if "decrypt" in uses else " to agree")


@dataclass
class Ended:
    status: int
    out: str
    err: str
    seconds: float

    @property
    def data(self):
        return json.loads(self.out)["data"]

    @property
    def error(self):
        return json.loads(self.out).get("error", {}) if self.out.startswith("{") else {}

    @property
    def message(self):
        """The error without what differs from run to run."""
        text = self.error.get("message", self.err.strip())
        return re.sub(r'^[^:"]*("[^"]*"[^:"]*)*: ', "", re.sub(r"pkcs11:\S+?(?=[,:]? |$)", "the key", text), count=1)


def shown(command):
    return " ".join(str(part) for part in command)


class Run:
    """One token's way through the steps. `table` is what it did: step -> "yes", or the reason why not."""

    def __init__(self, token, folder, binary):
        self.token, self.folder, self.binary = token, Path(folder), binary
        self.table, self.keys, self.made, self.label = {}, [], {}, ""
        self.environment = os.environ | {
            "HSMITH_STATE": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"), "HOME": str(self.folder / "home"), "LC_ALL": "C.UTF-8",
            "PATH": f"{binary.parent}:{os.environ['PATH']}"}
        for name in ("home", "runtime"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        self.file("note", "some text\n")

    def path(self, name):
        return self.folder / name

    def file(self, name, text):
        self.path(name).write_text(text)
        self.path(name).chmod(0o600)
        return f"file:{self.path(name)}"

    def execute(self, command, environment=None):
        start = time.monotonic()
        ended = subprocess.run([str(part) for part in command], cwd=self.folder, env=self.environment | (environment or {}),
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS)
        return Ended(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"),
                     time.monotonic() - start)

    def must(self, *command, environment=None):
        """Another program, or hsmith, that has to succeed."""
        ended = self.execute(command, environment)
        if ended.status:
            raise Failed(f"{shown(command)}: status {ended.status}: {ended.out}{ended.err}")
        return ended.out

    def hsmith(self, *arguments, environment=None, allowed=(), refusals=("unsupported",)):
        """hsmith, which does it or says that the token cannot: by errors of the kinds `refusals`. `allowed`: further
        statuses that are an answer."""
        ended = self.execute([self.binary, *arguments, "--json", "--batch"], environment)
        if self.token.afterwards:
            self.execute(["bash", "-c", self.token.afterwards])
        if ended.error.get("kind") in refusals:
            raise Cannot(ended.message)
        if ended.status not in (0, *allowed):
            raise Failed(f"hsmith {shown(arguments)}: status {ended.status}: {ended.err}")
        return ended

    def try_step(self, title, do, *arguments):
        """Records what came of one step; a title may come several times, and then the worst counts."""
        try:
            do(*arguments)
            self.table.setdefault(title, "yes")
        except Cannot as reason:
            self.table[title] = str(reason)

    def key(self, family, use):
        """The first key of such a type that has this use."""
        for key in self.keys:
            if key["type"].partition(":")[0] == family and use in key["uses"]:
                return key
        raise NoKey("-")

    def certificate(self, key):
        path = self.path(f"{key['id']}.crt")
        if not path.exists():
            raise NoKey("-")
        return path

    def public_pem(self, key):
        path = self.path("public.pem")
        self.must(self.binary, "key", "public", name_of(key), "-o", path, "--force")
        return path


def name_of(key):
    """How a key is called from here on: by its id, which labels of cards' own do not spoil."""
    return f"id:{key['id']}"


# Steps, in the order in which they are made.

def initialise(run):
    slots = [slot for slot in run.hsmith("token", "list").data["modules"][0]["slots"] if "token" in slot]
    wanted = os.environ.get("HSMITH_TOKEN")
    for slot in slots:
        if slot["token"]["initialised"] and slot["token"]["login_required"] and wanted in (None, slot["token"]["label"]):
            run.label = slot["token"]["label"]
            raise Cannot("it comes initialised")
    empty = next(slot for slot in slots if not slot["token"]["initialised"])
    run.hsmith("token", "init", "--label", wanted, "--slot", empty["slot"])
    run.label = wanted


def generate_one(run, wanted, place):
    ended = run.hsmith("key", "generate", wanted.name, "--type", wanted.type, "--use", wanted.use,
                       *(["--login-as", "so"] if run.token.officer else []), *(["--id", place] if place else []))
    run.made[wanted.name] = ended.data
    seen = run.must("openssl", "pkey", "-pubin", "-in", run.public_pem(ended.data), "-noout", "-text")
    family, _, size = wanted.type.partition(":")
    if {"rsa": f"({size} bit)", "ec": f"NIST CURVE: {size.upper().replace('P', 'P-')}", "ed25519": "ED25519"}[family] not in seen:
        raise Failed(f"{wanted.type} is not what openssl sees: {seen}")


def generate(run):
    places = iter(run.token.ids)
    for wanted in KEYS:
        family, _, size = wanted.type.partition(":")
        title = f"make {FAMILIES[family]} {size.upper().replace('P', 'P-')}".strip()
        run.try_step(title + ("" if wanted.use == "sign" else f" to {USES[wanted.use]}"), generate_one, run, wanted,
                     next(places, None))


def list_keys(run):
    run.keys = run.hsmith("key", "list").data["keys"]
    for name, made in run.made.items():
        found = [key for key in run.keys if key["id"] == made["id"]]
        if len(found) != 1:
            raise Failed(f"the key {name} is listed {len(found)} times")
        if found[0]["type"] != next(key.type for key in KEYS if key.name == name):
            raise Failed(f"the key {name} is listed as {found[0]['type']}")
    if not run.keys:
        raise Cannot("it has no keys")


def make_authority(run):
    run.must("openssl", "req", "-config", "/dev/null", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj",
             "/CN=Test CA", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
             "keyUsage=critical,keyCertSign,cRLSign", "-out", "ca.crt")
    run.file("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n")
    run.file("index.txt", "")
    run.file("number", "01\n")
    run.must("openssl", "ca", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key", "-gencrl", "-crldays", "5", "-out",
             "ca.crl")


def issue(run, request, certificate, extensions="keyUsage=digitalSignature,keyEncipherment,keyAgreement", options=()):
    run.file("extensions", f"{extensions}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    run.must("openssl", "x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-set_serial",
             f"0x4{os.urandom(7).hex()}", "-days", "10", "-extfile", "extensions", "-out", certificate,
             *options)


def issue_without_request(run, key, certificate, extensions):
    run.must("openssl", "req", "-config", "/dev/null", "-newkey", "rsa:2048", "-nodes", "-keyout", "other.key", "-subj",
             f"/CN=key {key['id']}", "-out", "other.csr")
    issue(run, "other.csr", certificate, extensions, ["-force_pubkey", run.public_pem(key)])


def request(run, key):
    csr = run.path(f"{key['id']}.csr")
    run.hsmith("request", "new", name_of(key), "--cn", f"key {key['id']}", "-o", csr, "--force")
    run.must("openssl", "req", "-in", csr, "-verify", "-noout")
    run.must("openssl", "req", "-in", csr, "-pubkey", "-noout", "-out", run.path("request.pem"))
    if run.path("request.pem").read_text() != run.public_pem(key).read_text():
        raise Failed("the request has another key")


def install(run, key):
    """A key that could not sign its own request gets a certificate all the same."""
    certificate = run.path(f"{key['id']}.crt")
    csr = run.path(f"{key['id']}.csr")
    if csr.exists():
        issue(run, csr, certificate)
    else:
        issue_without_request(run, key, certificate, "keyUsage=keyEncipherment,keyAgreement")
    run.hsmith("request", "complete", certificate, "--chain", "ca.crt", *(["--login-as", "so"] if run.token.officer else []))
    exported = run.must(run.binary, "cert", "export", name_of(key))
    if exported.strip() != run.must("openssl", "x509", "-in", certificate).strip():
        raise Failed("another certificate comes back")
    run.hsmith("cert", "match", certificate, name_of(key))


def certify(run):
    """A request and a certificate for each key; what stands on a card already stays."""
    make_authority(run)
    for key in run.keys:
        run.try_step(f"request, {kind_of(key)}", request, run, key)
        if run.made:
            run.try_step(f"install a certificate, {kind_of(key)}", install, run, key)
        else:
            run.path(f"{key['id']}.crt").write_text(run.must(run.binary, "cert", "export", name_of(key)))


def renew(run):
    """A second certificate of a key comes into service."""
    if not run.made:
        raise NoKey("-")
    key = run.key("rsa", "sign")
    run.certificate(key)
    time.sleep(1.1)  # its validity begins later
    run.hsmith("renew", name_of(key), "--same-key", "-o", "renewed.csr")
    issue(run, "renewed.csr", "renewed.crt")
    run.hsmith("request", "complete", "renewed.crt", "--chain", "ca.crt", *(["--login-as", "so"] if run.token.officer else []))
    # The id is the old one's too, except in a place.
    in_service = run.must(run.binary, "cert", "export", name_of(key) if run.token.ids else f"label:{key['label']}")
    if in_service.strip() != run.must("openssl", "x509", "-in", "renewed.crt").strip():
        raise Failed("the old certificate is in service still")
    run.path(f"{key['id']}.crt").write_bytes(run.path("renewed.crt").read_bytes())


def sign(run, family, scheme, verification):
    key = run.key(family, "sign")
    signature = run.path("note.sig")
    run.hsmith("sign", "--key", name_of(key), *scheme, "-o", signature, "--force", "note")
    if family == "ed25519":
        run.must("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", run.public_pem(key), "-in", "note", "-sigfile",
                 signature)
    else:
        run.must("openssl", "dgst", *verification, "-verify", run.public_pem(key), "-signature", signature, "note")


def sign_cms(run):
    key = run.key("rsa", "sign")
    certificate = run.certificate(key)
    run.hsmith("sign", "--key", name_of(key), "--format", "cms", "-o", "note.p7s", "--force", "note")
    run.must("openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", "note.p7s", "-content", "note", "-certfile", certificate,
             "-noverify", "-out", "/dev/null")


def sign_all(run):
    run.try_step("sign PKCS#1", sign, run, "rsa", ["--scheme", "pkcs1"], ["-sha256"])
    run.try_step("sign PSS", sign, run, "rsa", ["--scheme", "pss"], ["-sha256", "-sigopt", "rsa_padding_mode:pss"])
    run.try_step("sign ECDSA", sign, run, "ec", ["--digest", "sha256"], ["-sha256"])
    run.try_step("sign EdDSA", sign, run, "ed25519", [], [])
    run.try_step("sign CMS", sign_cms, run)


def decrypt(run, key, options):
    run.must("openssl", "cms", "-encrypt", "-binary", "-in", "note", "-outform", "DER", "-aes256", "-out", "note.p7m",
             "-recip", run.certificate(key), *options)
    run.hsmith("decrypt", "--key", name_of(key), "note.p7m", "-o", "opened", "--force")
    if run.path("opened").read_text() != run.path("note").read_text():
        raise Failed("another text comes out")


def decrypt_all(run):
    def oaep(digest):
        return ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", f"rsa_oaep_md:{digest}", "-keyopt", f"rsa_mgf1_md:{digest}"]
    for title, options in (("PKCS#1", []), ("OAEP SHA-1", oaep("sha1")), ("OAEP SHA-256", oaep("sha256"))):
        run.try_step(f"decrypt {title}", lambda: decrypt(run, run.key("rsa", "decrypt"), options))
    run.try_step("decrypt ECDH", lambda: decrypt(run, run.key("ec", "derive"), []))


def recover(run):
    """A key goes into an archive, to the agent's key on this token, and comes out of it. The archive's own keys and the
    officer's are on another token, as in practice."""
    agent = run.key("rsa", "decrypt")
    office = make_office(run)
    certify_agent(run, agent)
    run.hsmith("kra", "add", "agent.crt", environment=office)
    run.must("openssl", "req", "-config", "/dev/null", "-newkey", "rsa:2048", "-nodes", "-keyout", "alice.key", "-subj", "/CN=alice",
             "-out", "alice.csr")
    issue(run, "alice.csr", "alice.crt", "keyUsage=keyEncipherment")
    run.file("password", "secret\n")
    run.must("openssl", "pkcs12", "-export", "-inkey", "alice.key", "-in", "alice.crt", "-passout", "file:password", "-out",
             "alice.p12")
    run.hsmith("archive", "add", "alice.p12", "--password-source", "file:password", environment=office)
    run.hsmith("archive", "get", "alice", "-o", "alice.rec", "--officer", "officer", environment=office)
    run.hsmith("recover", "alice.rec", "-o", "recovered.p12", "--officer-cert", "officer.crt", "--out-password-source",
               "file:password")
    run.must("openssl", "pkcs12", "-in", "recovered.p12", "-passin", "file:password", "-nodes", "-nocerts", "-out", "opened.key")
    if run.must("openssl", "pkey", "-in", "opened.key") != run.must("openssl", "pkey", "-in", "alice.key"):
        raise Failed("another key comes out of the archive")


def certify_agent(run, agent):
    purpose = "extendedKeyUsage=1.3.6.1.4.1.311.21.6\nkeyUsage=keyEncipherment"
    try:
        run.hsmith("kra", "request", name_of(agent), "--cn", "The agent", "-o", "agent.csr", "--force")
        issue(run, "agent.csr", "agent.crt", purpose)
    except Cannot:  # the rows of requests tell why
        issue_without_request(run, agent, "agent.crt", purpose)


def make_office(run):
    """A SoftHSM with the keys of an archive and its officer, and that archive: its environment."""
    (run.path("office") / "tokens").mkdir(parents=True)
    run.file("office/softhsm2.conf", f"directories.tokendir = {run.folder}/office/tokens\nobjectstore.backend = file\n"
             "log.level = ERROR\n")
    office = {"SOFTHSM2_CONF": str(run.path("office/softhsm2.conf")), "HSMITH_MODULE": SOFTHSM, "HSMITH_TOKEN": "office",
              "HSMITH_MODULE_INIT": "", "HSMITH_PIN": "office-4711", "HSMITH_STATE": str(run.path("office/state"))}
    run.must("softhsm2-util", "--init-token", "--free", "--label", "office", "--so-pin", "so-office", "--pin", "office-4711",
             environment=office)
    for who in ("seal", "officer"):
        run.hsmith("request", "new", who, "--key-type", "ec:p256", "--cn", f"The {who}", "-o", f"{who}.csr", environment=office)
        issue(run, f"{who}.csr", f"{who}.crt", "keyUsage=digitalSignature")
        run.hsmith("cert", "install", f"{who}.crt", environment=office)
    run.hsmith("archive", "init", "--seal-key", "seal", "--trust", "ca.crt", "--crl", "ca.crl", "--officer-cert", "officer.crt",
               environment=office)
    return office


def prove(run):
    """Evidence that a key cannot leave, and a look at it without the token. That it could leave is an answer, too."""
    key = next((key for key in run.keys if "sign" in key["uses"]), None)
    if not key:
        raise NoKey("-")
    challenge = ["--challenge", os.urandom(16).hex()]
    ended = run.hsmith("key", "prove", name_of(key), "-o", "proof", *challenge, allowed=(3,))
    if ended.status == 3:
        raise Cannot("the key could leave it")
    run.hsmith("key", "prove", "--verify", "proof", *challenge)


def back_up(run):
    """A key leaves under a wrapping key, is lost, and comes back."""
    refusals = {"refusals": ("unsupported", "pin_missing", "pin_invalid", "login_failed", "refused")}
    making = {"refusals": (*refusals["refusals"], "token_failed", "pin_failed_before", "pin_expired")}
    run.hsmith("key", "generate", "wrapper", "--type", "aes:256", "--use", "wrap", "--login-as", "so", **making)
    run.hsmith("key", "generate", "kept", "--type", "rsa:2048", "--backup-under", "wrapper", **refusals)
    run.hsmith("key", "backup", "kept", "--under", "wrapper", "-o", "kept.backup", **refusals)
    run.hsmith("key", "backup-verify", "kept.backup", "--under", "wrapper")
    run.hsmith("key", "delete", "kept", "--token", run.label, "--yes")
    run.hsmith("key", "restore", "kept.backup", "--under", "wrapper")
    run.hsmith("sign", "--key", "kept", "note", "-o", "kept.sig")


def change_pin(run):
    pin = os.environ["HSMITH_PIN"]
    new = {"HSMITH_PIN": pin[::-1]}
    run.hsmith("token", "pin", "change", "--new-pin-source", run.file("new-pin", new["HSMITH_PIN"]), refusals=REFUSALS)
    run.hsmith("key", "list", environment=new)
    if run.execute([run.binary, "key", "list", "--json"]).status != 4:
        raise Failed("the old PIN is taken still")
    run.hsmith("token", "pin", "change", "--retry-pin", "--new-pin-source", run.file("old-pin", pin), environment=new)
    run.hsmith("key", "list", "--retry-pin")


def change_officer_pin(run):
    """The security officer's own PIN, which some tokens want changed before he may do anything. The new one stays."""
    source = os.environ.get("HSMITH_SO_PIN_SOURCE", "")
    if not source:
        raise NoKey("-")
    new = run.file("new-so-pin", Path(source.removeprefix("file:")).read_text().strip()[::-1])
    run.hsmith("token", "pin", "change", "--new-so-pin-source", new,
               refusals=(*REFUSALS, "pin_not_initialized", "pin_invalid", "login_failed", "pin_locked"))
    run.environment["HSMITH_SO_PIN_SOURCE"] = new
    run.hsmith("token", "pin", "change", "--plan", "--new-so-pin-source", new)


def initialise_again(run):
    """The token is wiped and made new, or is as it was."""
    before = run.hsmith("key", "list").out
    slots = [slot for slot in run.hsmith("token", "list").data["modules"][0]["slots"] if slot.get("token", {}).get("label") == run.label]
    try:
        run.hsmith("token", "init", "--slot", slots[0]["slot"], "--label", "again", "--erase", run.label, "--yes",
                   refusals=(*REFUSALS, "pin_missing", "pin_invalid", "login_failed", "pin_locked"))
    except Cannot:
        if run.hsmith("key", "list").out != before:
            raise Failed("it could not be initialised again, and is not as it was") from None
        raise
    run.environment["HSMITH_TOKEN"] = run.label = "again"
    if run.hsmith("key", "list").data["keys"]:
        raise Failed("its keys are there still")


def delete(run):
    """The keys that were made here go, with their certificates."""
    if not run.made:
        raise NoKey("-")
    name, made = next(iter(run.made.items()))
    run.hsmith("key", "delete", name_of(made), "--token", run.label, "--yes")
    if any(key["id"] == made["id"] for key in run.hsmith("key", "list").data["keys"]):
        raise Failed(f"the key {name} is there still")


def lock_pin(run):
    """Wrong PINs until the token refuses even the right one, which must then be told apart from a wrong one."""
    wrong = {"HSMITH_PIN": "9" * len(os.environ["HSMITH_PIN"])}
    kinds = []
    for _ in range(WRONG_PINS):
        ended = run.hsmith("key", "list", "--retry-pin", "--use-last-try", environment=wrong, allowed=(4,),
                           refusals=("token_failed",))
        kinds.append(ended.error["kind"])
        if kinds[-1] == "pin_locked":
            break
    ended = run.hsmith("key", "list", "--retry-pin", "--use-last-try", allowed=(4,))
    if "pin_locked" not in kinds:
        if ended.status:
            raise Failed(f"the right PIN is refused after {kinds}: {ended.out}")
        raise Cannot(f"{WRONG_PINS} wrong PINs do not lock it")
    if set(kinds[:-1]) > {"pin_incorrect"} or ended.status != 4 or ended.error["kind"] != "pin_locked":
        raise Failed(f"wrong PINs: {kinds}; then the right one: {ended.out}")
    run.table["lock the PIN"] = f"yes, {len(kinds)}"


def unblock_pin(run):
    if not run.table["lock the PIN"].startswith("yes"):
        raise NoKey("-")
    run.hsmith("token", "pin", "unblock", "--token", run.label, "--yes",
               "--new-pin-source", run.file("new-pin", os.environ["HSMITH_PIN"]),
               refusals=(*REFUSALS, "pin_invalid", "pin_locked", "login_failed"))
    run.hsmith("key", "list", "--retry-pin")


STEPS = (("initialise", initialise), ("make", generate), ("list keys", list_keys), ("certify", certify),
         ("renew with the same key", renew), ("sign", sign_all),
         ("decrypt", decrypt_all), ("archive and recover", recover), ("prove that a key cannot leave", prove),
         ("change the PIN", change_pin), ("change the SO PIN", change_officer_pin), ("delete a key", delete),
         ("back up and restore a key", back_up), ("initialise again", initialise_again), ("lock the PIN", lock_pin),
         ("unblock the PIN", unblock_pin))
OF_SEVERAL = (generate, certify, sign_all, decrypt_all)  # these name their own rows
ROWS = ("initialise", *(f"make {name}" for name in (
            "RSA 2048", "RSA 3072", "RSA 4096", "RSA 2048 to decrypt", "EC P-256", "EC P-384", "EC P-521", "EC P-256 to agree",
            "Ed25519")), "list keys", *(f"{what}, {kind}" for what in ("request", "install a certificate") for kind in (
                "RSA", "EC", "Ed25519", "RSA to decrypt", "EC to agree")), "renew with the same key", "sign PKCS#1", "sign PSS", "sign ECDSA", "sign EdDSA",
        "sign CMS", "decrypt PKCS#1", "decrypt OAEP SHA-1", "decrypt OAEP SHA-256", "decrypt ECDH", "archive and recover",
        "prove that a key cannot leave", "change the PIN", "change the SO PIN", "delete a key", "back up and restore a key",
        "initialise again", "lock the PIN", "unblock the PIN")


def take(token, folder, binary):
    """The table's column of the token that is started in this environment, and what went wrong."""
    run, failures = Run(token, folder, binary), []
    for title, step in STEPS:
        try:
            if step in OF_SEVERAL:
                step(run)
            else:
                run.try_step(title, step, run)
        except (Failed, KeyError, StopIteration, subprocess.TimeoutExpired) as failure:
            failures.append(f"{token.title}: {title}: {failure if isinstance(failure, Failed) else repr(failure)}")
            run.table[title] = "FAILED"
    return {row: "-" for row in ROWS} | run.table, failures
