"""The commands that are swept: how each begins, and how to tell by other programs what it did.

A flow's state is "before" (nothing happened), "done" (all of it did), another short text that the flow
names in `settled` (a repair may end there), or what is wrong.
"""
import hashlib
import json
import shutil
import sqlite3
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def frozen(objects):
    """Objects as a multiset."""
    return Counter(tuple(sorted((name, str(value)) for name, value in one.items() if name != "works"))
                   for one in objects)


def pair_of(objects, label, may="s"):
    """"none", "whole", or what is wrong with the objects of a new pair."""
    if not objects:
        return "none"
    told = ", ".join(f"{one['class']} {one['label']!r} id {one['id'][:8]}" for one in objects)
    private = [one for one in objects if one["class"] == "private"]
    public = [one for one in objects if one["class"] == "public"]
    if len(private) != 1 or len(public) != 1 or len(objects) != 2:
        return f"left on the token: {told}"
    if {private[0]["label"], public[0]["label"]} != {label} or private[0]["id"] != public[0]["id"]:
        return f"not linked: {told}"
    if private[0]["id"] != public[0]["key_id"]:
        return f"not the id of its public key: {told}"
    if not private[0]["guarded"] or private[0]["may"] != may or not private[0].get("works", may != "s"):
        return f"not guarded, or not a pair: {private[0]}"
    return "whole"


class Flow:
    """One command. `tokens` are the kinds of token on which it works."""
    name = ""
    tokens = ("softhsm", "nss")
    settled = ()          # states in which a repair may leave it, besides "before" and "done"
    finished_again = ()   # of these, the ones that the same command run again finishes
    deletes = False
    rules = ""            # of the fault module, besides those that are swept
    is_repair = False
    killed = {-9}         # exit statuses after a SIGKILL
    believed = ("CKA_LABEL", "CKA_ID")  # what the token calls its objects, where hsmith has not named them itself
    cannot_know = False   # an error of the token may leave hsmith in doubt whether it did it
    again = {"before": {0}, "done": {8}}  # exit statuses of the same command run again
    nouns = ('"web"', "object=web", "token=", "module", "sandbox", "NSS Certificate DB")  # one is named by an error

    def prepare(self, world):
        world.make_token()
        world.must("hsmith", "key", "generate", "other", "--type", "ec:p256")

    def arguments(self, world):
        raise NotImplementedError

    def state(self, world):
        """By the token and the files. A token that its own module cannot read is "damaged: ..."."""
        seen = world.look()
        if "damaged" in seen or "absent" in seen or seen["pin"] is None:
            return f"damaged: {seen.get('damaged', 'it is not there, or no PIN opens it')}"
        if lost := self.lost_objects(world, seen):
            return f"damaged: {lost}"
        seen = self.without_halves(world, seen)
        missing = frozen(one for one in world.base if one["label"] == "other") - frozen(seen["objects"])
        if missing:
            return f"another key was changed: {missing}"
        return self.state_of(world, seen)

    def lost_objects(self, world, seen):
        """Objects that are there no more, or that have lost what they are; no command that only adds does that."""
        def identities(objects):
            return Counter((one["class"], one["id"], one.get("material")) for one in objects)
        lost = Counter() if self.deletes else identities(world.base) - identities(seen["objects"])
        return lost + Counter(one["class"] for one in seen["objects"] if one["class"].startswith("class"))

    def without_halves(self, world, seen):
        """What else is on the token. Halves are objects without any name that the module did not finish writing."""
        world.halves = [one for one in new_objects(world, seen) if not one["label"] and not one["id"]]
        return seen | {"objects": [one for one in seen["objects"] if one not in world.halves]}

    def state_of(self, world, seen):
        raise NotImplementedError

    def unchanged(self, world, seen):
        return frozen(seen["objects"]) == frozen(world.base)

    def difference(self, world, seen):
        now, base = frozen(seen["objects"]), frozen(world.base)
        return f"more: {dict(now - base)}, less: {dict(base - now)}"


def new_objects(world, seen):
    left = frozen(world.base)
    new = []
    for one in seen["objects"]:
        key = next(iter(frozen([one])))
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(one)
    return new


def has_key(world, label, use="sign"):
    world.must("hsmith", "key", "generate", label, "--type", "ec:p256", "--use", use)
    world.must("hsmith", "key", "public", label, "-o", f"{label}.pem")


def make_certificate(world, label):
    """LABEL.crt for the key of LABEL.pem, by a CA that is made for it."""
    world.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
               "ca.key", "-out", "ca.crt", "-subj", "/CN=Sweep CA", "-days", "30")
    world.must("openssl", "x509", "-new", "-force_pubkey", f"{label}.pem", "-subj", f"/CN={label}.example.com", "-CA",
               "ca.crt", "-CAkey", "ca.key", "-days", "20", "-out", f"{label}.crt")


def request_problem(world, name):
    """None when the file holds a whole request by the key whose public half is beside it."""
    file = world.work / name
    checked = subprocess.run(["openssl", "req", "-in", file, "-noout", "-verify"], capture_output=True, text=True)
    return None if checked.returncode == 0 else f"{name} is no whole request: {checked.stderr.strip()}"


def strange_files(world):
    """Files that were not there before and that nobody would expect: torn, temporary, forgotten ones."""
    before = {str(path.relative_to(world.saved)) for path in world.saved.rglob("*")}
    expected = ("state/audit.log", "work/web.csr", "work/web.backup", "work/note.sig", "work/web.proof", "state/journal/", "state/requests/", "state/ca/lab.db-",
                "state/archive.db", "state/archives/", "state/challenges/", "state/unfinished/", "work/alice.", "work/web.crt", "work/web.rsp",
                "state/chains/")
    return [name for name in world.files() if name.endswith("-new") or
            (name not in before and not name.startswith(expected))]


def strange_requests(world):
    """Kept requests for which there is no key on the token."""
    keys = {one["spki"] for one in world.look().get("objects", []) if "spki" in one}
    return [path.name for path in world.state.glob("requests/*") if path.stem not in keys]


class KeyGenerate(Flow):
    name = "key generate"
    believed = ("CKA_LABEL",)
    type = "ec:p256"

    def arguments(self, world):
        return ["key", "generate", "web", "--type", self.type]

    def state_of(self, world, seen):
        pair = pair_of(new_objects(world, seen), "web")
        return {"none": "before", "whole": "done"}.get(pair, pair)


class KeyGenerateRsa(KeyGenerate):
    name = "key generate rsa"
    type = "rsa:2048"


class KeyImport(KeyGenerate):
    """A pair from a PKCS#12 file, with its certificate."""
    name = "key import"
    nouns = Flow.nouns + ("web.p12",)

    def prepare(self, world):
        super().prepare(world)
        (world.work / "pw").write_text("first-password\n")
        (world.work / "pw").chmod(0o600)
        world.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                   "web.key", "-out", "web.crt", "-subj", "/CN=web.example.com", "-days", "30")
        world.must("openssl", "pkcs12", "-export", "-inkey", "web.key", "-in", "web.crt", "-passout", "file:pw", "-out", "web.p12")

    def arguments(self, world):
        return ["key", "import", "web.p12", "--label", "web", "--password-source", "file:pw"]

    def state_of(self, world, seen):
        new = new_objects(world, seen)
        keys = [one for one in new if one["class"] != "certificate"]
        certificates = [one for one in new if one["class"] == "certificate"]
        pair = pair_of(keys, "web")
        if pair != "whole" or not certificates:
            return "before" if pair == "none" and not certificates else f"a part of it: {pair}, {len(certificates)} certificates"
        der = subprocess.run(["openssl", "x509", "-in", world.work / "web.crt", "-outform", "DER"], capture_output=True,
                             check=True).stdout
        whole = {"class": "certificate", "label": "web", "id": keys[0]["id"], "material": hashlib.sha256(der).hexdigest()}
        return "done" if certificates == [whole] else f"another certificate: {certificates}"


class KeyGenerateWrap(Flow):
    """A wrapping key is one object, and nothing takes it away again."""
    name = "key generate --use wrap"
    tokens = ("softhsm",)
    nouns = Flow.nouns + ('"backups"', "backups")

    def arguments(self, world):
        return ["key", "generate", "backups", "--type", "aes:256", "--use", "wrap", "--login-as", "so"]

    def state_of(self, world, seen):
        new = new_objects(world, seen)
        if not new:
            return "before"
        whole = len(new) == 1 and new[0]["class"] == "secret" and new[0]["label"] == "backups" and new[0]["trusted"]
        return "done" if whole else f"no wrapping key: {new}"


class KeyBackup(KeyGenerateWrap):
    """The file is whole and opens, or is not there."""
    name = "key backup"
    nouns = KeyGenerateWrap.nouns + ("web.backup", "object=web")

    def prepare(self, world):
        Flow.prepare(self, world)
        world.must("hsmith", *KeyGenerateWrap.arguments(self, world))
        world.must("hsmith", "key", "generate", "web", "--type", "ec:p256", "--backup-under", "backups")
        world.must("hsmith", "key", "public", "web", "-o", "web.pem")

    def arguments(self, world):
        return ["key", "backup", "web", "--under", "backups", "-o", "web.backup"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        if not (world.work / "web.backup").exists():
            return "before"
        content = json.loads((world.work / "web.backup").read_text())
        return "done" if len(content["keys"]) == len(content["signatures"]) == 1 else "the file is not whole"


class KeyRestore(KeyBackup):
    """The key is back, as protected as before, with its public key; or nothing of it is."""
    name = "key restore"
    again = {"before": {0}, "done": {8}}

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", *super().arguments(world))
        world.must("hsmith", "key", "delete", "web", "--token", world.label, "--yes")

    def arguments(self, world):
        return ["key", "restore", "web.backup", "--under", "backups"]

    def state_of(self, world, seen):
        new = new_objects(world, seen)
        if not new:
            return "before"
        private = [one for one in new if one["class"] == "private"]
        public = [one for one in new if one["class"] == "public"]
        whole = len(new) == 2 and len(private) == len(public) == 1 and private[0].get("backup") and private[0].get("works")
        return "done" if whole else f"half restored: {new}"


class KeyGenerateMany(Flow):
    name = "key generate --count"

    def arguments(self, world):
        return ["key", "generate", "web", "--type", "ec:p256", "--count", "1"]

    def state_of(self, world, seen):
        pair = pair_of(new_objects(world, seen), "web-1")
        return {"none": "before", "whole": "done"}.get(pair, pair)


class KeyDelete(Flow):
    name = "key delete"
    deletes = True
    again = {"before": {0}, "done": {5}}

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")
        make_certificate(world, "web")
        world.must("hsmith", "cert", "install", "web.crt")

    def arguments(self, world):
        return ["key", "delete", "web", "--token", world.label, "--yes"]

    def state_of(self, world, seen):
        if self.unchanged(world, seen):
            return "before"
        others = [one for one in world.base if one["label"] == "other"]
        return "done" if frozen(seen["objects"]) == frozen(others) else f"half deleted: {self.difference(world, seen)}"


class KeyRename(KeyDelete):
    name = "key rename"
    deletes = False

    def arguments(self, world):
        return ["key", "rename", "web", "mail"]

    def state_of(self, world, seen):
        if self.unchanged(world, seen):
            return "before"
        renamed = [one | {"label": "mail"} if one["label"] == "web" else one for one in world.base]
        return "done" if frozen(seen["objects"]) == frozen(renamed) else f"half renamed: {self.difference(world, seen)}"


class RequestNewKey(Flow):
    name = "request new --key-type"
    label = "web"
    settled = ("the key without its request",)
    believed = ("CKA_LABEL",)
    again = {"before": {0}, "done": {8}, "the key without its request": {8}}
    nouns = Flow.nouns + ("web.csr",)
    type, profile, may = "ec:p256", (), "s"

    def arguments(self, world):
        return ["request", "new", "web", "--key-type", self.type, "--cn", "www.example.com", *self.profile, "-o", "web.csr"]

    def state_of(self, world, seen):
        pair = pair_of(new_objects(world, seen), self.label, self.may)
        written = (world.work / "web.csr").exists()
        if pair not in ("none", "whole"):
            return pair
        if written and (problem := request_problem(world, "web.csr")):
            return problem
        if pair == "none":
            return "a request without its key" if written else "before"
        return "done" if written else "the key without its request"


class RequestNewAgent(RequestNewKey):
    """A recovery agent's key, which is not made for signing, on a token that cannot decrypt raw."""
    name = "request new --key-type --profile kra"
    type, profile, may = "rsa:2048", ("--profile", "kra"), "d"
    rules = "hide-mechanism CKM_RSA_X_509; "


class RequestNew(Flow):
    name = "request new"
    nouns = RequestNewKey.nouns
    use = "sign"

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web", self.use)

    def arguments(self, world):
        return ["request", "new", "web", "--cn", "www.example.com", "-o", "web.csr"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the key was changed: {self.difference(world, seen)}"
        if not (world.work / "web.csr").exists():
            return "before"
        return request_problem(world, "web.csr") or "done"


class RequestNewAgreement(RequestNew):
    """By a key that does not sign: it is made able to for one moment."""
    name = "request new by a key for agreement"
    cannot_know = True
    use = "derive"


class CertInstall(Flow):
    name = "cert install"
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("web.crt", "web.example.com")
    verb = ("cert", "install")

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")
        make_certificate(world, "web")

    def arguments(self, world):
        return [*self.verb, "web.crt"]

    def state_of(self, world, seen):
        if self.unchanged(world, seen):
            return "before"
        new = new_objects(world, seen)
        key = next(one for one in world.base if one["class"] == "private" and one["label"] == "web")
        der = subprocess.run(["openssl", "x509", "-in", world.work / "web.crt", "-outform", "DER"], capture_output=True,
                             check=True).stdout
        whole = {"class": "certificate", "label": "web", "id": key["id"], "material": hashlib.sha256(der).hexdigest()}
        return "done" if new == [whole] and not frozen(world.base) - frozen(seen["objects"]) \
            else f"half installed: {self.difference(world, seen)}"


class RequestComplete(CertInstall):
    name = "request complete"
    verb = ("request", "complete")

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "request", "new", "web", "--cn", "www.example.com", "-o", "web.csr")


class Renew(RequestNewKey):
    """The request of a successor, by a key that is made for it."""
    name = "renew"
    label = "web@2"

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")
        make_certificate(world, "web")
        world.must("hsmith", "cert", "install", "web.crt")

    def arguments(self, world):
        return ["renew", "web", "--new-key", "-o", "web.csr"]


class RenewComplete(Flow):
    """The certificate of the successor: it is installed, and both pairs get their new labels."""
    name = "request complete of a renewal"
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("second.crt", "web.example.com", "object=web%402")

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")
        make_certificate(world, "web")
        world.must("hsmith", "cert", "install", "web.crt")
        world.must("hsmith", "renew", "web", "--new-key", "-o", "second.csr")
        world.must("openssl", "x509", "-req", "-in", "second.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "25",
                   "-out", "second.crt")

    def arguments(self, world):
        return ["request", "complete", "second.crt"]

    def state_of(self, world, seen):
        if self.unchanged(world, seen):
            return "before"
        labels = {"web": "web@1", "web@2": "web"}
        moved = [one | {"label": labels.get(one["label"], one["label"])} for one in world.base]
        more, less = frozen(seen["objects"]) - frozen(moved), frozen(moved) - frozen(seen["objects"])
        new = [one for one in seen["objects"] if one["class"] == "certificate" and one["label"] == "web"]
        der = subprocess.run(["openssl", "x509", "-in", world.work / "second.crt", "-outform", "DER"],
                             capture_output=True, check=True).stdout
        whole = len(new) == 1 and new[0]["material"] == hashlib.sha256(der).hexdigest()
        return "done" if not less and sum(more.values()) == 1 and whole \
            else f"half renewed: {self.difference(world, seen)}"


class ChainInstall(Flow):
    """A re-issued intermediate takes the place of the old one, on the token or where that has no room in the state folder."""
    name = "chain install"
    deletes = True
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("new.crt", "CN=sub", "object=sub", "chains")

    def prepare(self, world):
        super().prepare(world)
        (world.work / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        world.must("openssl", "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=root", "-days", "30")
        world.must("openssl", "req", *new_key, "-keyout", "sub.key", "-out", "sub.req", "-subj", "/CN=sub")
        for name, days in (("old", "10"), ("new", "20")):
            world.must("openssl", "x509", "-req", "-in", "sub.req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                       "-extfile", "ca.ext", "-days", days, "-out", f"{name}.crt")
        world.must("hsmith", "chain", "install", "old.crt")

    def arguments(self, world):
        return ["chain", "install", "new.crt"]

    def fingerprint(self, world, name):
        der = subprocess.run(["openssl", "x509", "-in", world.work / name, "-outform", "DER"], capture_output=True,
                             check=True).stdout
        return hashlib.sha256(der).hexdigest()

    def state_of(self, world, seen):
        old, new = self.fingerprint(world, "old.crt"), self.fingerprint(world, "new.crt")
        chains = world.state / "chains"
        on_token = sorted(one["material"] for one in seen["objects"] if one["class"] == "certificate")
        in_state = sorted(path.stem for path in chains.glob("*.crt"))
        if self.unchanged(world, seen) and not in_state:
            return "before"
        others = [one for one in world.base if one["class"] != "certificate"]
        same = frozen(others) == frozen(one for one in seen["objects"] if one["class"] != "certificate")
        whole = same and (chains / "retired" / f"{old}.crt").exists() and on_token + in_state == [new]
        return "done" if whole else f"half installed: {on_token} on the token, {in_state} in the state folder"


class Sign(Flow):
    name = "sign"
    nouns = Flow.nouns + ("note.sig",)

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")
        (world.work / "note").write_text("some text\n")

    def arguments(self, world):
        return ["sign", "--key", "web", "note"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        if not (world.work / "note.sig").exists():
            return "before"
        checked = subprocess.run(["openssl", "dgst", "-sha256", "-verify", "web.pem", "-signature", "note.sig", "note"],
                                 cwd=world.work, capture_output=True)
        return "done" if checked.returncode == 0 else "note.sig does not verify"


class KeyProve(Flow):
    """It works on the token in a child process, whose death it reports, and changes nothing there."""
    name = "key prove"
    nouns = Flow.nouns + ("web.proof",)
    killed = {-9, 9}
    challenge = "5f" * 32

    def prepare(self, world):
        super().prepare(world)
        has_key(world, "web")

    def arguments(self, world):
        return ["key", "prove", "web", "-o", "web.proof", "--challenge", self.challenge]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        if not (world.work / "web.proof").exists():
            return "before"
        verified = world.hsmith(["key", "prove", "--verify", "web.proof", "--challenge", self.challenge, "--json"])
        return "done" if json.loads(verified.out)["data"].get("verified") else f"web.proof does not verify: {verified.out}"


class TokenPinChange(Flow):
    name = "token pin change"
    cannot_know = True
    again = {"before": {0}, "done": {4}}

    def arguments(self, world):
        return ["token", "pin", "change", "--new-pin-source", f"file:{world.folder}/new-pin"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the objects were changed: {self.difference(world, seen)}"
        return "before" if seen["pin"] == world.pin else "done"


class TokenPinUnblock(TokenPinChange):
    name = "token pin unblock"
    tokens = ("softhsm",)
    again = {"before": {0}, "done": {0}}

    def arguments(self, world):
        return ["token", "pin", "unblock", "--token", world.label, "--yes", "--new-pin-source",
                f"file:{world.folder}/new-pin"]


class TokenInit(Flow):
    name = "token init"
    tokens = ("softhsm",)
    settled = ("the token without its user PIN",)
    again = {"before": {0}, "done": {5}, "the token without its user PIN": {5}}
    nouns = ('"fresh"', "slot", "module")

    def prepare(self, world):
        pass

    def arguments(self, world):
        return ["token", "init", "--label", "fresh", "--slot", "0"]

    def state(self, world):
        seen = world.look("fresh")
        if "damaged" in seen:
            return f"damaged: {seen['damaged']}"
        if "absent" in seen:
            return self.without_it(world)
        if seen["tokens"] == 1 and seen["pin"] is None and not seen["objects"]:
            return "the token without its user PIN"
        return "done" if seen["tokens"] == 1 and seen["pin"] == world.pin and not seen["objects"] \
            else f"half initialised: {seen}"

    def without_it(self, world):
        return "before"


class TokenInitErase(TokenInit):
    name = "token init --erase"
    again = {"before": {0}, "done": {6}, "the token without its user PIN": {6}}

    def prepare(self, world):
        Flow.prepare(self, world)
        shown = world.must("hsmith", "token", "info", "--json")
        self.serial = json.loads(shown.out)["data"]["serial"]

    def arguments(self, world):
        return ["token", "init", "--label", "fresh", "--serial", self.serial, "--erase", "sandbox", "--yes"]

    def without_it(self, world):
        seen = world.look()
        return "before" if seen.get("pin") == world.pin and self.unchanged(world, seen) else f"half erased: {seen}"


def rows_of(database, query):
    """What a database says, read from a copy, for a reader may change the files beside it."""
    with tempfile.TemporaryDirectory() as folder:
        for file in database.parent.glob(f"{database.name}*"):
            shutil.copy(file, folder)
        store = sqlite3.connect(f"{folder}/{database.name}")
        try:
            problem = store.execute("PRAGMA integrity_check").fetchone()[0]
            rows = store.execute(query).fetchall()
        finally:
            store.close()
    return rows if problem == "ok" else [(problem, None)]


def issued_rows(world, where="1"):
    """What the CA's file says: (serial, last reason)."""
    return rows_of(world.state / "ca/lab.db", "SELECT hex(serial), (SELECT reason FROM event WHERE event.issued = issued.id"
                   f" ORDER BY id DESC LIMIT 1) FROM issued WHERE {where}")


class CaIssue(Flow):
    """No certificate without its record, and none that is acknowledged is lost."""
    name = "ca issue"
    tokens = ("softhsm",)
    nouns = Flow.nouns + ("lab", "web.crt", "www.example.com")

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "ca", "init", "lab", "--key-type", "ec:p256", "--subject", "CN=Sweep CA", "--days", "400",
                   "-o", "lab.crt")
        world.must("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "web.key",
                   "-out", "web.csr", "-subj", "/CN=www.example.com")

    def arguments(self, world):
        return ["ca", "issue", "web.csr", "--ca", "lab", "--profile", "server", "-o", "web.crt"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        rows = issued_rows(world)
        if not (world.work / "web.crt").exists():
            return "on record, not written" if rows else "before"
        checked = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", "lab.crt", "web.crt"], cwd=world.work,
                                 capture_output=True)
        serial = subprocess.run(["openssl", "x509", "-in", "web.crt", "-noout", "-serial"], cwd=world.work, text=True,
                                capture_output=True).stdout.strip().removeprefix("serial=")
        if [row[0] for row in rows] != [serial]:
            return f"the certificate {serial} is written, on record is {rows}"
        return "done" if checked.returncode == 0 else "the certificate does not verify"


class CaRevoke(CaIssue):
    name = "ca revoke"
    again = {"before": {0}, "done": {8}}

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", *super().arguments(world))
        self.serial = issued_rows(world)[0][0]

    def arguments(self, world):
        return ["ca", "revoke", self.serial, "--ca", "lab", "--reason", "superseded", "--yes"]

    def state_of(self, world, seen):
        rows = issued_rows(world)
        if not self.unchanged(world, seen) or len(rows) != 1:
            return f"not as it was: {rows}"
        return {None: "before", "superseded": "done"}.get(rows[0][1], f"revoked: {rows}")


class ArchiveAdd(Flow):
    """A key of each file is in the archive, or none is; what is acknowledged is there and verifies."""
    name = "archive add"
    tokens = ("softhsm",)
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("archive", "alice.p12", "seal", "sqlite:")

    def prepare(self, world):
        super().prepare(world)
        world.must("bash", "-c", ARCHIVE, "bash", str(world.binary))

    def arguments(self, world):
        return ["archive", "add", "alice.p12", "--password-source", "file:pw"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        verified = world.hsmith(["archive", "verify"])
        if verified.status != 0:
            return f"the archive does not verify: {verified.out}{verified.err}"
        return self.archive_state(world)

    def archive_state(self, world):
        keys = json.loads(world.hsmith(["archive", "status", "--json"]).out)["data"]["keys"]
        return {0: "before", 1: "done"}.get(keys, f"{keys} keys")


class ArchiveGet(ArchiveAdd):
    name = "archive get"
    again = {"before": {0}, "done": {0, 8}}  # what an interrupted run has made is made again
    nouns = ArchiveAdd.nouns + ("officer", "alice.rec", "challenges")

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", *super().arguments(world))

    def arguments(self, world):
        return ["archive", "get", "alice", "-o", "alice.rec", "--officer", "officer"]

    def archive_state(self, world):
        if not (world.work / "alice.rec").exists():
            return "before"
        shown = world.hsmith(["recover", "--show", "alice.rec"])
        return "done" if shown.status == 0 else f"alice.rec is no whole blob: {shown.err}"


class RekeyApply(ArchiveGet):
    """The key has both agents, or the old one alone."""
    name = "archive rekey apply"
    again = {"before": {0}, "done": {0}}
    nouns = ArchiveAdd.nouns + ("key 1",)

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "kra", "add", "kra2.crt", "--probe", "kra2")
        world.must("hsmith", "archive", "rekey", "export", "--from", "CN=kra1", "--officer", "officer", "-o", "out.rekey")
        world.must("hsmith", "archive", "rekey", "wrap", "out.rekey", "--to", "kra2.crt", "--officer-cert", "officer.crt", "-o",
                   "back.rekey")

    def arguments(self, world):
        return ["archive", "rekey", "apply", "back.rekey"]

    def archive_state(self, world):
        found = json.loads(world.hsmith(["archive", "find", "alice", "--json"]).out)["data"]["candidates"]
        agents = [agent["subject"] for agent in found[0]["agents"]]
        return {("CN=kra1",): "before", ("CN=kra1", "CN=kra2"): "done"}.get(tuple(sorted(agents)), f"agents {agents}")


class ArchiveOverwrite(ArchiveGet):
    """The key is encrypted to the agent of now, or still to the one of before."""
    name = "archive add --overwrite"
    again = {"before": {0}, "done": {0}}
    nouns = ArchiveAdd.nouns

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "kra", "add", "kra2.crt", "--probe", "kra2")
        archive = f"sqlite:{world.state}/archive.db"
        world.must("hsmith", "kra", "remove", "CN=kra1", "--archive", archive, "--yes")

    def arguments(self, world):
        return ["archive", "add", "alice.p12", "--overwrite", "--password-source", "file:pw"]

    def archive_state(self, world):
        found = json.loads(world.hsmith(["archive", "find", "alice", "--json"]).out)["data"]["candidates"]
        agents = [agent["subject"] for candidate in found for agent in candidate["agents"]]
        return {("CN=kra1",): "before", ("CN=kra2",): "done"}.get(tuple(agents), f"agents {agents}")


class KraAdd(ArchiveAdd):
    """The new agent is one, or is none."""
    name = "kra add"
    again = {"before": {0}, "done": {8}}
    nouns = ArchiveAdd.nouns + ("kra2.crt", "object=kra2")

    def arguments(self, world):
        return ["kra", "add", "kra2.crt", "--probe", "kra2"]

    def archive_state(self, world):
        agents = json.loads(world.hsmith(["kra", "list", "--json"]).out)["data"]["agents"]
        return {1: "before", 2: "done"}.get(len(agents), f"{len(agents)} agents")


class Recover(ArchiveGet):
    name = "recover"
    nouns = Flow.nouns + ("alice.rec", "alice.out.p12", "object=kra1")

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", *super().arguments(world))

    def arguments(self, world):
        return ["recover", "alice.rec", "-o", "alice.out.p12", "--officer-cert", "officer.crt", "--out-password-source", "file:pw"]

    def archive_state(self, world):
        if not (world.work / "alice.out.p12").exists():
            return "before"
        opened = subprocess.run(["openssl", "pkcs12", "-in", "alice.out.p12", "-passin", "file:pw", "-nodes", "-nocerts"], cwd=world.work,
                                capture_output=True)
        key = subprocess.run(["openssl", "pkey"], input=opened.stdout, capture_output=True).stdout
        return "done" if key == (world.work / "alice.pem").read_bytes() else "alice.out.p12 has another key"


class RecoverToToken(Recover):
    """Pair and certificate; a repair, and running it again, give the pair alone its certificate."""
    name = "recover --to-token"
    again = {"before": {0}, "done": {0}}
    nouns = Recover.nouns + ('"alice"', "object=alice", "CN=alice")

    def arguments(self, world):
        return ["recover", "alice.rec", "--to-token", f"pkcs11:token={world.label}", "--to-pin-source", f"file:{world.folder}/card-pin",
                "--officer-cert", "officer.crt"]

    def prepare(self, world):
        world.pin_file("card-pin", world.pin)
        super().prepare(world)

    def state_of(self, world, seen):
        new = new_objects(world, seen)
        certificates = [one for one in new if one["class"] == "certificate"]
        pair = pair_of([one for one in new if one not in certificates], "alice", "d")
        if pair != "whole" or frozen(world.base) - frozen(seen["objects"]):
            return "before" if pair == "none" and not certificates else f"half recovered: {self.difference(world, seen)}"
        der = subprocess.run(["openssl", "x509", "-in", world.work / "alice.crt", "-outform", "DER"], capture_output=True,
                             check=True).stdout
        key = next(one for one in new if one["class"] == "private")
        whole = {"class": "certificate", "label": "alice", "id": key["id"], "material": hashlib.sha256(der).hexdigest()}
        return "the key without its certificate" if not certificates else "done" if certificates == [whole] \
            else f"another certificate: {certificates}"


class ArchiveSubmit(Flow):
    """The key is archived and the certificate issued, or neither."""
    name = "archive submit"
    tokens = ("softhsm",)
    settled = finished_again = ("the certificate without its response",)
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("web.cmc", "lab", "archive.db", "web.crt", "web.rsp", "CMC message")

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "ca", "init", "lab", "--key-type", "ec:p256", "--subject", "CN=Sweep CA", "--days", "2000", "-o", "lab.crt")
        world.must("hsmith", "ca", "exchange-cert", "--ca", "lab", "-o", "xchg.crt")
        self.certify(world, "seal", "client", "--type", "ec:p256")
        self.certify(world, "kra", "kra", "--type", "rsa:2048", "--use", "decrypt")
        world.must("hsmith", "ca", "crl", "--ca", "lab", "-o", "lab.crl")
        world.must("hsmith", "archive", "init", "--seal-key", "seal", "--trust", "lab.crt", "--crl", "lab.crl", "--officer-cert", "seal.crt")
        world.must("hsmith", "kra", "add", "kra.crt", "--probe", "kra")
        world.must(str(TESTS / "support/cmc_request"), "web.cmc", "--exchange", "xchg.crt")

    def certify(self, world, name, profile, *generate):
        world.must("hsmith", "key", "generate", name, *generate)
        world.must("hsmith", "request", "new", name, "--cn", name, "-o", f"{name}.csr")
        shown = world.must("hsmith", "request", "show", f"{name}.csr", "--json")
        approval = json.loads(shown.out)["data"]["public_key_sha256"][:16]
        world.must("hsmith", "ca", "issue", f"{name}.csr", "--ca", "lab", "--profile", profile, "--approve", approval, "--same-token",
                   "-o", f"{name}.crt")
        world.must("hsmith", "cert", "install", f"{name}.crt")

    def arguments(self, world):
        return ["archive", "submit", "web.cmc", "--exchange-key", "lab-Xchg", "--ca", "lab", "--profile", "email", "-o", "web.crt",
                "--response", "web.rsp"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        archived = {row[0] for row in rows_of(world.state / "archive.db", "SELECT hex(certificate) FROM archived_key")}
        issued = [row[0] for row in issued_rows(world, "profile = 'email'")]
        certificate, response = world.work / "web.crt", world.work / "web.rsp"
        if not certificate.exists():
            if response.exists():
                return "a response without its certificate"
            if issued and not archived:
                return "issued without its key archived"
            return "on record, not written" if issued else "archived, not on record" if archived else "before"
        verified = subprocess.run(["openssl", "verify", "-CAfile", "lab.crt", "web.crt"], cwd=world.work, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], capture_output=True).stdout
        serial = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-serial"], text=True,
                                capture_output=True).stdout.strip().removeprefix("serial=")
        if verified.returncode != 0 or issued != [serial] or archived != {hashlib.sha256(der).hexdigest().upper()}:
            return f"the certificate {serial} is written; on record {issued}, archived {archived}: {verified.stderr}"
        if not response.exists():
            return "the certificate without its response"
        whole = subprocess.run(
            ["openssl", "cms", "-verify", "-inform", "der", "-in", "web.rsp", "-CAfile", "lab.crt", "-purpose", "any", "-out", "/dev/null"],
            cwd=world.work, capture_output=True).returncode == 0
        return "done" if whole else "the response does not verify"


class RequestNewArchive(RequestNewKey):
    """A key that is made in memory, put on the token, and sent along."""
    name = "request new --archive"
    tokens = ("softhsm",)
    settled = ()
    again = {"before": {0}, "done": {8}}
    nouns = RequestNewKey.nouns + ("xchg.crt",)

    def prepare(self, world):
        super().prepare(world)
        world.must("hsmith", "ca", "init", "lab", "--key-type", "ec:p256", "--subject", "CN=Sweep CA", "--days", "2000", "-o", "lab.crt")
        world.must("hsmith", "ca", "exchange-cert", "--ca", "lab", "-o", "xchg.crt")

    def arguments(self, world):
        return ["request", "new", "web", "--key-type", "rsa:2048", "--cn", "web", "--ku", "keyEncipherment", "--archive",
                "--exchange-cert", "xchg.crt", "--ca-cert", "lab.crt", "-o", "web.csr"]

    def state_of(self, world, seen):
        pair = pair_of(new_objects(world, seen), "web", "d")
        if pair not in ("none", "whole"):
            return pair
        written = (world.work / "web.csr").exists()
        if not written:
            return "before" if pair == "none" else "the key without its request"
        shown = world.hsmith(["request", "show", "web.csr", "--json"])
        if shown.status != 0 or "archived_key" not in shown.out:
            return f"web.csr is no whole request: {shown.err}"
        return "done" if pair == "whole" else "a request without its key"


class Repair(Flow):
    """doctor --repair of another flow that a kill interrupted."""
    is_repair = True
    again = {"before": {0}, "done": {0}}

    def __init__(self, flow, rule):
        self.flow, self.rule = flow, rule
        self.name, self.settled, self.tokens = f"doctor --repair of {flow.name}", flow.settled, flow.tokens

    def prepare(self, world):
        self.flow.prepare(world)
        world.save()
        self.earlier = world.base
        ended, acted = world.hsmith_with_fault(self.flow.arguments(world), self.rule)
        if ended.status != -9 or not acted or not world.journal():
            raise RuntimeError(f"{self.rule} does not interrupt {self.flow.name}: {ended}")

    def arguments(self, world):
        return ["doctor", "--repair", "--yes"]

    def state(self, world):
        interrupted, world.base = world.base, self.earlier
        try:
            state = self.flow.state(world)
        finally:
            world.base = interrupted
        seen = self.without_halves(world, world.look())
        if self.unchanged(world, seen) and world.journal():
            return "before"
        return "done" if state in ("before", "done", *self.settled) and not world.journal() else f"half repaired: {state}"


# A test CA, the archive's seal, officer and agents on the token, and a user's PKCS#12 file; $1 is hsmith.
ARCHIVE = r"""
set -e
umask 077
issue() {
  printf '%s\n' "$2" subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > ext.cnf
  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -days 20 -extfile ext.cnf -out $1.crt 2>/dev/null
}
openssl req -config /dev/null -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj "/CN=Sweep CA" -days 30 \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n' > ca.cnf
: > index.txt; echo 01 > number
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -crldays 20 -out ca.crl 2>/dev/null
for who in seal officer; do
  $1 key generate $who --type ec:p256; $1 request new $who --cn $who -o $who.csr; issue $who keyUsage=digitalSignature; $1 cert install $who.crt
done
for who in kra1 kra2; do
  $1 kra request $who --key-type rsa:2048 --cn $who -o $who.csr
  issue $who "keyUsage=keyEncipherment
extendedKeyUsage=1.3.6.1.4.1.311.21.6"
  $1 cert install $who.crt
done
$1 archive init --seal-key seal --trust ca.crt --crl ca.crl --officer-cert officer.crt
$1 kra add kra1.crt --probe kra1
openssl req -config /dev/null -newkey rsa:2048 -nodes -keyout alice.key -out alice.csr -subj /CN=alice 2>/dev/null
openssl pkey -in alice.key -out alice.pem
issue alice keyUsage=keyEncipherment
echo secret > pw
openssl pkcs12 -export -inkey alice.key -in alice.crt -passout file:pw -out alice.p12
"""


def all_flows():
    flows = [KeyGenerate(), KeyGenerateMany(), KeyDelete(), KeyRename(), RequestNewKey(), RequestNewAgent(), RequestNew(), RequestNewAgreement(),
             RequestComplete(), CertInstall(), Renew(), RenewComplete(), ChainInstall(), CaIssue(), CaRevoke(),
             ArchiveSubmit(), RequestNewArchive(), Sign(), KeyProve(),
             ArchiveAdd(), ArchiveOverwrite(), ArchiveGet(), KraAdd(), RekeyApply(), Recover(), RecoverToToken(),
             TokenInit(), TokenInitErase(), TokenPinChange(), TokenPinUnblock(),
             KeyGenerateRsa(), KeyImport(), KeyGenerateWrap(), KeyBackup(), KeyRestore()]
    repairs = [Repair(KeyGenerate(), "kill after C_GenerateKeyPair 1"),
               Repair(KeyDelete(), "kill after C_DestroyObject 2"),
               Repair(KeyRename(), "kill after C_SetAttributeValue 1"),
               Repair(RequestNewKey(), "kill before C_SignInit 1"),
               Repair(CertInstall(), "kill after C_CreateObject 1"),
               Repair(RenewComplete(), "kill after C_SetAttributeValue 2"),
               Repair(RecoverToToken(), "kill after C_CreateObject 1"),
               Repair(ChainInstall(), "kill after C_CreateObject 1"),
               Repair(KeyRestore(), "kill after C_UnwrapKey 2"),
               Repair(KeyGenerateWrap(), "kill after C_GenerateKey 5")]
    return flows + repairs
