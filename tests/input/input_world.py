"""What the bad inputs are tried in: a token, a CA of openssl's, and one good file of each kind."""
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
SANITIZER = "ASAN_OPTIONS" in os.environ  # its runtime keeps what was freed
MOST_SECONDS = 60 if SANITIZER else 10
MOST_KIB = (1024 if SANITIZER else 256) << 10
PRELUDE = r"""
set -e
exec 2>&1
csr() { hsmith request new "$1" --cn "$1.example.com" --san "dns:$1.example.com" -o "$1.csr" >/dev/null; }
issue() {
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial "$2" -days 30 -copy_extensions copy -out "$1.pem"
  openssl x509 -in "$1.pem" -outform der -out "$1.der"
}
printf 'x\n' > pw
chmod 600 pw
openssl req -config /dev/null -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
  -subj /CN=CA -days 30 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
openssl x509 -in ca.pem -outform der -out ca.der
for key in web mail; do hsmith key generate $key --type ec:p256 >/dev/null; csr $key; done
issue web 17; issue mail 18
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' > sub.ext
openssl req -config /dev/null -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout sub.key -subj /CN=Sub -out sub.csr
openssl x509 -req -in sub.csr -CA ca.pem -CAkey ca.key -set_serial 19 -days 30 -extfile sub.ext -outform der -out sub.der
hsmith cert install mail.pem >/dev/null
hsmith key show mail --json | jq -j .data.uri > key.uri
hsmith cert list --json | jq -j '.data.certificates[0].uri' > cert.uri
hsmith key generate box --type rsa:2048 --use decrypt >/dev/null
csr box; issue box 21
hsmith cert install box.pem >/dev/null
hsmith encrypt --to box.pem --cipher aes-256-gcm -o box.p7m ca.key >/dev/null
hsmith ca init lab --key-type ec:p256 --subject CN=Lab --days 2000 -o lab.pem >/dev/null
hsmith ca exchange-cert --ca lab --format der -o xchg.der >/dev/null
hsmith ca crl --ca lab -o lab.crl >/dev/null
hsmith request new box --cn agent -o agent.csr >/dev/null
hsmith ca issue agent.csr --ca lab --profile kra --same-token -o agent.pem --approve \
  $(hsmith request show agent.csr --json | jq -r '.data.public_key_sha256[:16]') >/dev/null
hsmith archive init --seal-key mail --trust lab.pem --crl lab.crl --officer-cert mail.pem >/dev/null
hsmith kra add agent.pem --probe box >/dev/null
archived() {
  hsmith request new "$1" --key-type rsa:2048 --profile email --cn "$1" --email "$1@example.com" --archive \
    --exchange-cert xchg.der --ca-cert lab.pem --format der -o "$1.cmc" >/dev/null
}
archived alice; archived bob
hsmith archive submit bob.cmc --exchange-key lab-Xchg --ca lab --profile email -o bob.pem --response bob.rsp >/dev/null
openssl req -in web.csr -outform der -out web.csr.der
openssl crl2pkcs7 -nocrl -certfile web.pem -certfile ca.pem -outform der -out web.p7b
echo 'some text' > note
openssl dgst -sha256 -sign ca.key -out note.sig note
openssl dgst -sha256 -binary -out digest note
openssl pkey -in ca.key -pubout -out public.pem
openssl pkey -in ca.key -pubout -outform der -out public.der
hsmith log checkpoint --key mail -o checkpoint >/dev/null
hsmith key generate backups --type aes:256 --use wrap --login-as so >/dev/null
hsmith key generate kept --type ec:p256 --backup-under backups >/dev/null
hsmith key backup kept --under backups -o kept.backup >/dev/null
hsmith key delete kept --token sandbox --yes >/dev/null
touch index.txt
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n' > crl.cnf
openssl ca -config crl.cnf -gencrl -keyfile ca.key -cert ca.pem -crldays 30 -out ca.crl
openssl crl -in ca.crl -outform der -out ca.crl.der
openssl pkcs8 -topk8 -nocrypt -in ca.key -outform der -out key.der
openssl ec -in ca.key -out ec.key
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:x -in ca.key -outform der -out encrypted.der
openssl pkcs12 -export -inkey ca.key -in ca.pem -iter 2 -passout pass:x -out ca.p12
openssl cms -encrypt -in note -outform der -out note.cms -aes256 ca.pem
openssl req -config /dev/null -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout soft.key -subj /CN=soft \
  -addext subjectAltName=email:soft@example.com -addext extendedKeyUsage=emailProtection -out soft.csr
issue soft 19
openssl cms -sign -in note -signer soft.pem -inkey soft.key -out note.eml
openssl cms -sign -binary -in note -signer soft.pem -inkey soft.key -outform der -out note.p7s
printf 'eyJhbGciOiJFUzI1NiJ9.eA.AAAA\n' > note.jws
printf '<!DOCTYPE html><html><body>404 Not Found</body></html>\n' > page.html
printf '{"a": 1}\n' > some.json
iconv -f utf-8 -t utf-16 web.pem > utf16.txt
sed '/-----/d' web.pem > bare64.txt
ssh-keygen -q -t ed25519 -N '' -C x -f ssh.key
cp /bin/true program
hsmith archive get bob -o user.rec --officer mail >/dev/null
hsmith recover user.rec -o user.out.p12 --officer-cert mail.pem --out-password-source file:pw --receipt user.receipt >/dev/null
hsmith kra request kra2 --key-type rsa:2048 --cn kra2 -o kra2.csr >/dev/null
hsmith ca issue kra2.csr --ca lab --profile kra --same-token -o kra2.pem --approve \
  $(hsmith request show kra2.csr --json | jq -r '.data.public_key_sha256[:16]') >/dev/null
openssl x509 -in kra2.pem -outform der -out kra2.der
hsmith kra add kra2.pem --probe kra2 >/dev/null
hsmith archive rekey export --from CN=agent --officer mail -o out.rekey >/dev/null
hsmith archive rekey wrap out.rekey --to kra2.pem --officer-cert mail.pem -o back.rekey >/dev/null
hsmith kra request kra3 --key-type rsa:2048 --cn kra3 -o kra3.csr >/dev/null
hsmith ca issue kra3.csr --ca lab --profile kra --same-token -o kra3.pem --approve \
  $(hsmith request show kra3.csr --json | jq -r '.data.public_key_sha256[:16]') >/dev/null
openssl x509 -in kra3.pem -outform der -out kra3.der
hsmith archive backup -o archive.backup >/dev/null
hsmith ca backup lab -o lab.backup >/dev/null
hsmith key prove web -o web.proof --challenge 00112233445566778899aabbccddeeff >/dev/null
printf '[findings]\nnot_born_here = "off"\nduplicate = "off"\n' > audit.toml
printf 'token = "sandbox"\n' > config.toml
printf 'description = "x"\n[usage]\nec = ["digitalSignature"]\n[subject]\nrequired = ["CN"]\n' > profile.toml
printf 'subject = "CN=x"\nsan = ["dns:www.example.com"]\nku = ["digitalSignature"]\n' > template.toml
printf '[NewRequest]\nSubject = "CN=x"\nKeyUsage = 0x80\n[Extensions]\n2.5.29.17 = "{text}dns=x.example.com"\n' > template.inf
"""
# Each kind of file, and what a refusal of it calls it.
KINDS = {
    "web.pem": "a certificate", "web.der": "a certificate", "web.csr": "a certificate request",
    "web.csr.der": "a certificate request", "ca.crl": "a certificate revocation list",
    "ca.crl.der": "a certificate revocation list", "web.p7b": "a PKCS#7 or CMS file",
    "ca.key": "a private key", "key.der": "a private key", "ec.key": "a private key",
    "encrypted.der": "an encrypted private key", "public.pem": "a public key", "public.der": "a public key",
    "ca.p12": "a PKCS#12 file", "note.cms": "an encrypted CMS message", "note.eml": "a MIME message",
    "note.jws": "a JWS", "page.html": "an HTML page", "some.json": "a JSON file", "utf16.txt": "UTF-16 text",
    "bare64.txt": "Base64 without its BEGIN and END lines", "ssh.key": "a private key",
    "ssh.key.pub": "an OpenSSH public key", "program": "a program", "note": "text without a PEM block",
}


@dataclass
class Ended:
    status: int
    out: str
    err: str
    seconds: float
    kib: int  # the most memory that it had

    def errors(self):
        """The lines on standard error that are neither hint nor warning nor candidate."""
        return [line for line in self.err.splitlines()
                if not line.startswith(("hsmith: hint: ", "hsmith: warning: ", "hsmith: candidate: "))]

    def data(self):
        return json.loads(self.out).get("data")


class World:
    """`live` is what commands run in and may change; a snapshot of it stands beside."""

    def __init__(self, folder, binary):
        self.folder, self.binary = Path(folder), Path(binary)
        self.live, self.saved = self.folder / "live", self.folder / "saved"
        self.work = self.live / "work"

    def make(self):
        for name in ("work", "tokens", "state", "runtime"):
            (self.live / name).mkdir(mode=0o700, parents=True)
        pin = secrets.token_hex(6)
        (self.folder / "pin").write_text(pin + "\n")
        (self.folder / "pin").chmod(0o600)
        (self.folder / "home").mkdir(mode=0o700)
        self.settle()
        self.must(["softhsm2-util", "--init-token", "--free", "--label", "sandbox", "--so-pin", pin, "--pin", pin])
        self.must(["sh", "-c", PRELUDE])
        self.save()

    def settle(self):
        """Files and variables that hold the folder's own path."""
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.live}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("HSMITH_", "PKCS11_", "SOFTHSM2_", "XDG_", "OPENSSL_"))}
        self.environment = kept | {
            "PATH": f"{self.binary.parent}:{kept.get('PATH', '/usr/bin:/bin')}", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "HOME": f"{self.folder}/home", "SOFTHSM2_CONF": f"{self.folder}/softhsm2.conf", "HSMITH_MODULE": SOFTHSM,
            "HSMITH_TOKEN": "sandbox", "HSMITH_PIN_SOURCE": f"file:{self.folder}/pin", "HSMITH_SO_PIN_SOURCE": f"file:{self.folder}/pin",
            "HSMITH_STATE": f"{self.live}/state", "XDG_CONFIG_HOME": f"{self.folder}/home",
            "XDG_RUNTIME_DIR": f"{self.live}/runtime"}

    def copy(self, folder):
        """The same world in another folder."""
        other = World(folder, self.binary)
        for part in ("live", "saved", "home"):
            shutil.copytree(self.folder / part, other.folder / part, symlinks=True)
        shutil.copy2(self.folder / "pin", other.folder / "pin")
        other.settle()
        return other

    def save(self):
        shutil.copytree(self.live, self.saved, symlinks=True)

    def restore(self):
        os.chdir(self.folder)  # the working folder goes
        shutil.rmtree(self.live)
        shutil.copytree(self.saved, self.live, symlinks=True)

    def must(self, command):
        done = subprocess.run(command, cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: status {done.returncode}: {done.stdout}{done.stderr}")

    def traces(self):
        """Names and sizes of everything that a command could leave behind. The audit log may grow."""
        return {str(path.relative_to(self.live)): path.lstat().st_size
                for top in ("work", "tokens", "state") for path in (self.live / top).rglob("*")
                if not path.is_dir() and path.name not in ("audit.log", "bad", "generation") and ".db-" not in path.name}

    def run(self, words):
        """hsmith with these arguments, without input, killed after MOST_SECONDS (then the status is -9)."""
        out, err = self.folder / "out", self.folder / "err"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        began = time.monotonic()
        os.chdir(self.work)
        pid = os.posix_spawn(self.binary, [os.fsencode(word) for word in ("hsmith", *words)], self.environment, setpgroup=0,
                             file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                           (os.POSIX_SPAWN_OPEN, 1, out, flags, 0o600),
                                           (os.POSIX_SPAWN_OPEN, 2, err, flags, 0o600)])
        watch = os.pidfd_open(pid)
        if not select.select([watch], [], [], MOST_SECONDS)[0]:
            os.killpg(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        os.close(watch)
        return Ended(os.waitstatus_to_exitcode(status), out.read_bytes().decode(errors="surrogateescape"),
                     err.read_bytes().decode(errors="surrogateescape"), time.monotonic() - began, usage.ru_maxrss)
