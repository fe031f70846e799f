"""Looks for a case's secrets where they do not belong (--canary): its PINs, the passwords of its key files, and the bytes of
its private keys; in files, outputs, arguments and the environment of children."""
import base64
import os
import re
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

PEM_KEY = re.compile(rb"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
LARGEST_KEY_FILE = 100_000
SHORTEST_PASSWORD = 8  # a shorter one stands in many a file by chance
WINDOW = 16            # so many bytes of a key stand nowhere by chance


def forms(raw):
    """The bytes raw, in hex, in Base64 wherever they begin within a group, percent-encoded."""
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode())
    yield from ("".join(f"%{byte:02X}" for byte in raw).encode(), ":".join(f"{byte:02x}" for byte in raw).encode())
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw)
        yield from {part[4 if shift else 0:-4] for part in (encoded, encoded.replace(b"+", b"-").replace(b"/", b"_"))}


def text_forms(text):
    return [*forms(text.encode()), text.encode("utf-16-le"), text.encode("utf-16-be")]


def secret_numbers(key):
    """What of a private key nobody else may know, big-endian."""
    numbers = key.private_numbers() if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)) else None
    if isinstance(key, rsa.RSAPrivateKey):
        values = (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    elif numbers:
        values = (numbers.private_value,)
    else:
        yield key.private_bytes_raw()
        return
    for value in values:
        yield value.to_bytes((value.bit_length() + 7) // 8, "big")


def key_forms(key):
    """The first and the last bytes of each number in every form; little-endian too, as Windows writes them."""
    for number in secret_numbers(key):
        for part in (number[:WINDOW], number[-WINDOW:]):
            yield from forms(part)
            yield part[::-1]


def private_keys(content, passwords):
    """The private keys that a file holds in the clear, or under one of the passwords."""
    for block in PEM_KEY.findall(content):
        yield from loaded(serialization.load_pem_private_key, block, None)
    if content[:1] == b"\x30":
        yield from loaded(serialization.load_der_private_key, content, None)
        for password in [None, b"", *(password.encode() for password in passwords)]:
            yield from loaded(lambda *arguments: pkcs12.load_key_and_certificates(*arguments)[0], content, password)


def loaded(load, content, password):
    try:
        key = load(content, password)
    except Exception:  # many kinds of error, all of which say that it is no such file
        return
    if key is not None and (isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)) or hasattr(key, "private_bytes_raw")):
        yield key


def lines_of(path, count):
    return path.read_text(errors="replace").splitlines()[:count] if path.is_file() and os.access(path, os.R_OK) else []


class Watch:
    """Samples /proc while a command of the case runs, and searches what the case leaves."""

    def __init__(self, pins, hsmith):
        self.pins, self.hsmith = list(pins), os.path.realpath(hsmith)
        self.searched = {form for pin in pins for form in text_forms(pin)}
        self.known, self.passwords, self.outputs, self.own = {}, [], set(), set()
        self.hits, self.running, self.seen, self.fresh = set(), True, set(), set()

    def learn(self, folder, command):
        """The secrets that the case has made so far, and which files hsmith wrote for it."""
        self.outputs |= {os.path.normpath(folder / name) for name in re.findall(r"hsmith [^|;&]*? -o ([\w./-]+)", command)}
        for name in re.findall(r"(?:password|pin)-source \"?file:([\w./-]+)", command):
            for password in lines_of(folder / name, 1):
                self.learn_password(password)
        for name in re.findall(r"--passwords ([\w./-]+)", command):  # lines of FILE,PASSWORD
            self.own.add(os.path.normpath(folder / name))
            for line in lines_of(folder / name, None):
                self.learn_password(line.rpartition(",")[2])
        for path in [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]:
            try:
                content = path.read_bytes() if path.stat().st_size <= LARGEST_KEY_FILE else b""
            except OSError:
                continue
            if self.known.get(path) != content:
                self.known[path] = content
                for key in private_keys(content, self.passwords):
                    self.searched.update(key_forms(key))

    def learn_password(self, password):
        if password not in self.pins and len(password) >= SHORTEST_PASSWORD:
            self.passwords.append(password)
            self.pins.append(password)
            self.searched.update(text_forms(password))

    def holds(self, content):
        """Line breaks do not hide what stands in Base64, nor spaces what stands in hex."""
        joined = re.sub(rb"\s", b"", content)
        return any(form in content or form in joined for form in self.searched)

    def sample_session(self, session):
        """Until stop(): arguments of hsmith, arguments and environment of its children."""
        self.running = True
        thread = threading.Thread(target=self._sample, args=(session,))
        thread.start()
        return thread

    def stop(self, thread):
        self.running = False
        thread.join()

    def _sample(self, session):
        while self.running:
            below = {}
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._look_at(int(entry), session, below)
            time.sleep(0.002)

    def _look_at(self, process, session, below):
        folder = f"/proc/{process}"
        try:
            fields = Path(folder, "stat").read_text().rpartition(")")[2].split()
            parent, of_session = int(fields[1]), int(fields[3])
            if of_session != session and parent not in below:
                return
            is_hsmith = os.readlink(f"{folder}/exe") == self.hsmith
            if is_hsmith or parent in below:
                below[process] = True
                self._note(f"{folder}/cmdline", f"arguments of process {process}")
                # hsmith itself is given its PIN in the environment, and wipes it; its children never see it.
                if not is_hsmith:
                    self._note(f"{folder}/environ", f"environment of a child of hsmith, {os.readlink(f'{folder}/exe')}")
        except (OSError, ValueError, IndexError):
            pass  # it has ended

    def _note(self, path, name):
        sample = (name, Path(path).read_bytes())
        if sample not in self.seen:
            self.seen.add(sample)
            self.fresh.add(sample)

    def search_output(self, line, out, err):
        """What the command of that line printed, and what its processes showed; after learn()."""
        # The command line of a shell that runs a step names the variable, not the PIN.
        self.hits |= {f"{name}: {content[:200]!r}" for name, content in self.fresh if self.holds(content)}
        self.fresh.clear()
        for name, text in (("standard output", out), ("standard error", err)):
            if self.holds(text.encode(errors="surrogateescape")):
                self.hits.add(f"{name} of the command in line {line}")

    def is_pin_file(self, content):
        """A file that a case made to hold a PIN: that it holds nothing else tells it."""
        lines = content.replace(b"\r", b"").decode(errors="replace").splitlines()
        return bool(lines) and lines[0] in self.pins and len(lines) <= 2

    def is_key_file(self, path, content):
        """A private key that another program wrote for the case. hsmith writes none in the clear."""
        return os.path.normpath(path) not in self.outputs and next(private_keys(content, ()), None) is not None

    def search_files(self, top):
        for path in Path(top).rglob("*"):
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                content = path.read_bytes()
            except OSError:
                continue
            mine = os.path.normpath(path) in self.own or top / "work" in path.parents and self.is_key_file(path, content)
            if self.holds(content) and not self.is_pin_file(content) and not mine:
                self.hits.add(f"the file {path.relative_to(top)}")
            if path.name == "core" or path.name.startswith("core."):
                self.hits.add(f"a core file, {path.relative_to(top)}")
