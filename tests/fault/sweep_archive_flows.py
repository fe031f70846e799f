"""The flows of key recovery: a key goes into the archive, and comes out of it."""
import subprocess

from sweep_flows import Flow, rows_of

PASSWORD = "first-password"


def issue(world, request, name, extensions):
    """NAME.crt, by a CA that is made at the first call."""
    if not (world.work / "ca.crt").exists():
        world.must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj",
                   "/CN=Sweep CA", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                   "keyUsage=critical,keyCertSign,cRLSign")
    (world.work / "ext.cnf").write_text(f"{extensions}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    world.must("openssl", "x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20",
               "-extfile", "ext.cnf", "-out", f"{name}.crt")


def make_person(world, name):
    """A key with a certificate for encryption: NAME.key, NAME.p12."""
    world.must("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
               f"/CN={name}/emailAddress={name}@example.com")
    issue(world, f"{name}.csr", name, "keyUsage=keyEncipherment")
    world.must("openssl", "pkcs12", "-export", "-inkey", f"{name}.key", "-in", f"{name}.crt", "-passout", "file:pw",
               "-out", f"{name}.p12")


def make_archive(world):
    """An archive with one agent, `kra`, and one officer, all on the token."""
    (world.work / "pw").write_text(f"{PASSWORD}\n")
    (world.work / "pw").chmod(0o600)
    for name in ("seal", "officer"):
        world.must("hsmith", "key", "generate", name, "--type", "ec:p256")
        world.must("hsmith", "request", "new", name, "--cn", name, "-o", f"{name}.csr")
        issue(world, f"{name}.csr", name, "keyUsage=digitalSignature")
        world.must("hsmith", "cert", "install", f"{name}.crt")
    world.must("hsmith", "kra", "request", "kra", "--key-type", "rsa:2048", "--cn", "The agent", "-o", "kra.csr")
    issue(world, "kra.csr", "kra", "keyUsage=keyEncipherment\nextendedKeyUsage=1.3.6.1.4.1.311.21.6")
    world.must("hsmith", "cert", "install", "kra.crt")
    (world.work / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n")
    (world.work / "index.txt").touch()
    (world.work / "number").write_text("01\n")
    world.must("openssl", "ca", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key", "-gencrl", "-crldays", "5",
               "-out", "ca.crl")
    world.must("hsmith", "archive", "init", "--seal-key", "seal", "--trust", "ca.crt", "--crl", "ca.crl", "--officer-cert",
               "officer.crt")
    world.must("hsmith", "kra", "add", "kra.crt", "--probe", "kra")


class ArchiveAdd(Flow):
    """No key that is counted as archived is lost, and none is there that does not open."""
    name = "archive add"
    tokens = ("softhsm",)
    again = {"before": {0}, "done": {0}}
    nouns = Flow.nouns + ("alice.p12", "seal", "archive")

    def prepare(self, world):
        super().prepare(world)
        make_archive(world)
        make_person(world, "alice")

    def arguments(self, world):
        return ["archive", "add", "alice.p12", "--password-source", "file:pw"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        rows = rows_of(world.state / "archive.db", "SELECT id FROM archived_key")
        verified = world.hsmith(["archive", "verify"])
        if verified.status != 0:
            return f"the archive does not verify: {verified.err}{verified.out}"
        return {0: "before", 1: "done"}.get(len(rows), f"archived: {rows}")


class Recover(Flow):
    """The file is whole, or there is none."""
    name = "recover"
    tokens = ("softhsm",)
    nouns = Flow.nouns + ("alice.rec", "new.p12", "kra", "agent")

    def prepare(self, world):
        super().prepare(world)
        make_archive(world)
        make_person(world, "alice")
        world.must("hsmith", "archive", "add", "alice.p12", "--password-source", "file:pw")
        world.must("hsmith", "archive", "get", "alice@example.com", "-o", "alice.rec", "--officer", "officer")

    def arguments(self, world):
        return ["recover", "alice.rec", "-o", "new.p12", "--officer-cert", "officer.crt", "--out-password-source", "file:pw"]

    def state_of(self, world, seen):
        if not self.unchanged(world, seen):
            return f"the token was changed: {self.difference(world, seen)}"
        if not (world.work / "new.p12").exists():
            return "before"
        opened = subprocess.run(["openssl", "pkcs12", "-in", "new.p12", "-passin", "file:pw", "-nodes", "-nocerts"], cwd=world.work,
                                capture_output=True)
        ours = subprocess.run(["openssl", "pkey"], input=opened.stdout, capture_output=True).stdout
        kept = subprocess.run(["openssl", "pkey", "-in", "alice.key"], cwd=world.work, capture_output=True).stdout
        return "done" if ours and ours == kept else "new.p12 does not hold the key"


def archive_flows():
    return [ArchiveAdd(), Recover()]
