"""The commands that read a file or a name, and what each takes. A new command is a line here."""
import hashlib
import re
import subprocess
from dataclasses import dataclass

NAMING = frozenset({2, 5, 7, 10})  # what a wrong name may end with
# A raw signature can be any bytes and any text; CMS, S/MIME and JWS are signatures of other forms.
SIGNATURES = ("a PKCS#7 or CMS file", "an encrypted CMS message", "a MIME message", "a JWS", "an HTML page", "a JSON file",
              "UTF-16 text", "Base64 without its BEGIN and END lines", "an OpenSSH public key", "a program",
              "text without a PEM block")
WITHOUT_END = ("zeros", "endless-fifo", "sparse")
NO_DATABASE = (*WITHOUT_END, "silent-fifo")  # a database may be large, and is not read where it is no file: exit 6
CERTIFICATES = ("a certificate", "a PKCS#7 or CMS file")
LISTS = ("a certificate revocation list", "a PKCS#7 or CMS file")


@dataclass(frozen=True)
class Command:
    """`words`: the command line, {} is the input: ./bad, unless it is a `uri`."""
    words: str
    valid: tuple = ()          # good inputs: the prefixes and flipped bits of each are tried
    expects: str = ""          # what a refusal of another kind says that it wants
    takes: tuple = ()          # the kinds that are not refused as such
    same: object = None        # (content, data, data of the good input) -> a complaint about exit 0, or ""
    status: int = 0            # with a good input
    statuses: frozenset = frozenset({3, 6, 7, 10})  # with a bad one
    output: str = ""           # a file that the command writes
    repeats: bool = False      # its content must be that of the good input
    place: str = "./bad"       # where the input has to be, seen from the working folder
    skips: tuple = ()          # specials that are right for it
    any_content: bool = False  # content does not matter: only what cannot be read is refused
    uri: bool = False
    restores: bool = False     # what it changes does not show in the sizes of files
    thin: int = 1              # of a large input only each N-th prefix and bit is tried

    @property
    def name(self):
        return self.words.replace("{}", "X")


def same_answer(content, data, good):
    return "" if data == good else f"the answer is another one than for the good input: {data}"


def any_answer(content, data, good):
    """What no signature covers is shown as it stands: certificates beside a signature, proofs that are then missing."""
    return "" if data else "an answer without data"


def same_recipient(content, data, good):
    """Nothing verifies the certificate of a recipient; it is named in the answer."""
    return "" if data else "an answer without data"


def another_serial(content, data, good):
    """Each certificate that is issued has a serial number and a fingerprint of its own; all else is the request's."""
    own = {"serial": "", "sha256": "", "not_before": "", "not_after": ""}
    return "" if data | own == good | own else f"another certificate than for the good input: {data}"


def another_text(content, data, good):
    """A profile or template that says something else is a good one as well, but must be text."""
    return "" if b"\0" not in content else "text with a NUL was taken"


def another_root(content, data, good):
    """A root whose key identifiers differ looks like one that another key has renewed: no signature of its own is there to verify."""
    if data == good:
        return ""
    read = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-ext", "subjectKeyIdentifier,authorityKeyIdentifier"],
                          input=content, capture_output=True, text=False)
    identifiers = re.findall(rb"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}", read.stdout)
    same = len(identifiers) == 2 and identifiers[0] == identifiers[1]
    return "a root that does not sign itself is trusted" if same else ""


def same_key(content, data, good):
    """The one bit that may be flipped names the same algorithm in another way."""
    return "" if data["public_key_sha256"] == good["public_key_sha256"] else f"another key: {data}"


def as_openssl_reads_it(content, data, good):
    """What is shown without being verified must at least be what stands there."""
    kind = "pem" if b"-----BEGIN" in content else "der"
    read = subprocess.run(["openssl", "x509", "-inform", kind, "-outform", "der"], input=content, capture_output=True)
    if read.returncode != 0:
        return "openssl finds no certificate in it"
    fingerprint = hashlib.sha256(read.stdout).hexdigest()
    return "" if data.get("sha256") == fingerprint else f"openssl reads the certificate {fingerprint}"


def as_openssl_reads_the_first(content, data, good):
    """The same, of the first certificate of a chain."""
    first = (data.get("certificates") or data["paths"][0]["chain"])[0]
    return as_openssl_reads_it(content, first, good)


COMMANDS = [
    Command("cert show {}", ("web.der", "web.pem"), "a certificate", CERTIFICATES, as_openssl_reads_it),
    Command("cert match {}", ("web.der", "web.pem"), "a certificate", CERTIFICATES,
            statuses=frozenset({3, 5, 6, 7, 10})),
    Command("cert install {} --chain ca.pem", ("web.der", "web.p7b"), "a certificate", CERTIFICATES),
    Command("cert install ./web.pem --chain {}", ("ca.der",), "a certificate", CERTIFICATES),
    Command("request complete ./web.pem --trust {}", ("ca.der",), "a certificate", CERTIFICATES),
    Command("cert verify {} --trust ca.pem", ("web.der", "web.pem", "web.p7b"), "a certificate", CERTIFICATES),
    Command("cert verify ./web.pem --trust {}", ("ca.der",), "a certificate", CERTIFICATES, another_root),
    Command("cert verify ./web.pem --trust ca.pem --untrusted {}", ("ca.der",), "a certificate", CERTIFICATES),
    Command("cert verify ./web.pem --trust ca.pem --crl {}", ("ca.crl.der",), "a certificate revocation list", LISTS),
    Command("crl install {} --trust ca.pem", ("ca.crl.der",), "a certificate revocation list", LISTS),
    Command("chain install {}", ("sub.der",), "a certificate", CERTIFICATES, as_openssl_reads_the_first),
    Command("chain show {}", ("web.der",), "a certificate", CERTIFICATES, as_openssl_reads_the_first),
    Command("request show {}", ("web.csr", "web.csr.der"), "a certificate request", ("a certificate request",)),
    Command("request show {}", ("bob.cmc", "bob.rsp"), "a certificate request", ("a certificate request",)),
    Command("request complete {}", ("bob.rsp",), "a certificate", CERTIFICATES, statuses=frozenset({3, 5, 6, 7, 10})),
    Command("archive submit {} --exchange-key lab-Xchg --ca lab --profile email -o made", ("alice.cmc",), "a CMC request",
            ("a certificate request", "a PKCS#7 or CMS file"), same=same_key, output="made"),
    Command("request new new --key-type rsa:2048 --cn x --ku keyEncipherment --archive --exchange-cert {} --ca-cert lab.pem -o made",
            ("xchg.der",), "a certificate", CERTIFICATES, same=same_recipient, output="made"),
    Command("request new new --key-type rsa:2048 --cn x --ku keyEncipherment --archive --exchange-cert xchg.der --ca-cert {} -o made",
            (), "a certificate", CERTIFICATES, output="made"),
    Command("request check {}", ("web.csr.der",), "a certificate request", ("a certificate request",)),
    Command("verify --public {} note.sig note", ("public.der", "public.pem"), "a public key", ("a public key",)),
    Command("verify --cert {} note.sig note", ("ca.der",), "a certificate", CERTIFICATES),
    Command("verify --cert ca.pem {} note", ("note.sig",), "a signature", SIGNATURES),
    Command("verify --trust ca.pem {} note", ("note.p7s",), statuses=frozenset({2, 3, 6, 7, 10})),
    Command("verify --trust ca.pem {}", ("note.eml",), statuses=frozenset({2, 3, 6, 7, 10})),
    Command("verify --cert ca.pem note.sig {}", ("note",), any_content=True, skips=WITHOUT_END),
    Command("encrypt --to {} -o made note", ("box.der", "box.pem"), "a certificate", CERTIFICATES, output="made", same=same_recipient),
    Command("decrypt {} -o made", ("box.p7m",), "an encrypted message",
            ("an encrypted CMS message", "a PKCS#7 or CMS file", "a MIME message"), output="made", repeats=True, statuses=frozenset({3, 5, 6, 7, 9, 10})),
    Command("key backup-verify {} --under backups", ("kept.backup",), "a key backup", ("a JSON file",)),
    Command("key prove --verify {} --challenge 00112233445566778899aabbccddeeff", ("web.proof",), "a proof bundle", ("a JSON file",)),
    # The policy is read before a token is looked for; an audit of all keys for each would take hours.
    Command("token audit --policy {} --token nosuch", ("audit.toml",), statuses=frozenset({2, 5, 6, 7}), status=5, skips=("zeros",)),
    Command("archive restore {} --archive sqlite:made.db", ("archive.backup",), same=any_answer, output="made.db", thin=997,
            statuses=frozenset({3, 6, 7, 10}), skips=NO_DATABASE),
    # There is a CA of that name, which is found out when the whole file was read.
    Command("ca restore {}", ("lab.backup",), status=8, thin=997, statuses=frozenset({3, 6, 7, 8, 10}), skips=NO_DATABASE),
    Command("archive add {} --password-source file:pw", ("user.out.p12",), same=any_answer, restores=True, skips=("folder",),
            statuses=frozenset({3, 4, 6, 7, 10})),
    Command("kra add {}", ("kra3.der",), "a certificate", CERTIFICATES, same=any_answer, restores=True, statuses=frozenset({3, 6, 7, 8, 10})),
    Command("log verify --checkpoint {} --cert mail.pem", ("checkpoint",), "a checkpoint of the audit log", ("a JSON file",)),
    Command("log verify --checkpoint checkpoint --cert {}", ("mail.der",), "a certificate", CERTIFICATES),
    Command("key list --config {}", ("config.toml",), statuses=frozenset({0, 2, 5, 6, 7}), skips=("zeros",)),
    Command("request new web --cn x -o made --profile bad", ("profile.toml",), place="../../home/hsmith/profiles/bad.toml",
            output="made", statuses=frozenset({0, 2, 6, 7}), same=another_text, skips=("missing",)),
    Command("request new web --cn x -o made --ext 1.2.3.4:{}", (), "", output="made"),
    Command("request new web -o made --template {}", ("template.toml", "template.inf"), output="made", same=another_text,
            statuses=frozenset({0, 2, 5, 6, 7, 10})),
    Command("pfx show {} --password-source file:pw", ("ca.p12",), "a PKCS#12 file", ("a PKCS#12 file",),
            statuses=frozenset({3, 4, 6, 7, 10})),
    Command("pfx check {} --password-source file:pw", ("ca.p12",), "a PKCS#12 file", ("a PKCS#12 file",),
            statuses=frozenset({3, 4, 6, 7, 10})),
    Command("pfx merge {} -o made --password-source file:pw --out-password-source file:pw", ("ca.p12",), "a PKCS#12 file",
            ("a PKCS#12 file",), statuses=frozenset({3, 4, 6, 7, 10}), output="made"),
    Command("recover --show {}", ("user.rec",), same=any_answer),
    Command("recover {} -o made --officer-cert mail.pem --out-password-source file:pw", ("user.rec",), output="made", same=any_answer,
            statuses=frozenset({3, 5, 6, 7, 10})),
    Command("archive receipt {}", ("user.receipt",), same=any_answer, statuses=frozenset({3, 6, 7, 10})),
    Command("archive rekey wrap {} --to kra2.pem --officer-cert mail.pem -o made", ("out.rekey",), output="made", same=any_answer),
    Command("archive rekey wrap out.rekey --to {} --officer-cert mail.pem -o made", ("kra2.der",), "a certificate", CERTIFICATES, output="made"),
    # 5: a changed agent, who is none of this token's.
    Command("archive rekey check {} --officer-cert mail.pem", ("back.rekey",), same=any_answer, statuses=frozenset({3, 5, 6, 7, 10})),
    Command("archive rekey apply {}", ("back.rekey",), same=any_answer),
    Command("kra check {}", ("kra2.der",), "a certificate", CERTIFICATES, statuses=frozenset({3, 6, 7, 10})),
    Command("key import {} --label new --password-source file:pw", ("ca.p12", "key.der"), "a private key",
            ("a PKCS#12 file", "a private key", "an encrypted private key"), statuses=frozenset({3, 4, 6, 7, 10})),
    Command("ca issue {} --ca lab --profile server -o made", ("web.csr.der",), "a certificate request",
            ("a certificate request",), another_serial, output="made", restores=True),
    Command("crl check {} --trust ca.pem --crl ca.crl", ("web.der",), "a certificate", CERTIFICATES),
    Command("sign --key web -o made {}", ("note",), any_content=True, skips=WITHOUT_END, output="made"),
    Command("sign --key web --prehashed --digest sha256 -o made {}", (), any_content=True, output="made"),
    *(Command(words, ("key.uri",), uri=True, statuses=NAMING, output="made" if "made" in words else "") for words in (
        "key show {}", "key public {}", "cert match ./mail.pem {}", "sign --key {} -o made note", "token info --token {}",
        "use {} --for openssl")),
    Command("cert show {}", ("cert.uri",), uri=True, statuses=NAMING),
]
