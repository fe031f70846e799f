"""What a sweep runs in: a token, hsmith's folders, and snapshots of both."""
import json
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cryptoki

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
SOFTOKN = next((path for path in ("/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
                                  "/usr/lib64/libsoftokn3.so", "/usr/lib/libsoftokn3.so") if Path(path).exists()), "")
COMMAND_SECONDS = 60
# Calls that change what stands in files or what names they have. `when=` of strace counts each on its own.
CHANGING = ("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2",
            "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat")


@dataclass
class Run:
    """A command that has ended. A death by signal is a negative status."""
    status: int
    out: str
    err: str

    def message(self):
        """The error's own lines, without hints, warnings and candidates."""
        return [line for line in self.err.splitlines()
                if line.startswith("hsmith: ") and not re.match("hsmith: (hint|warning|candidate): ", line)]

    def hint(self):
        return next((line for line in self.err.splitlines() if line.startswith("hsmith: hint: ")), "")


@dataclass
class SystemCall:
    """One call of a traced run: the count-th of its name, on which file."""
    name: str
    count: int
    text: str


class World:
    """A token named `label`, in a folder of its own. `live` is what a snapshot holds."""

    def __init__(self, folder, kind, binary, fault_module):
        self.folder, self.kind, self.binary, self.fault_module = Path(folder), kind, binary, fault_module
        self.live, self.saved = self.folder / "live", self.folder / "saved"
        self.work, self.state = self.live / "work", self.live / "state"
        self.log, self.trace = self.folder / "calls", self.folder / "trace"
        for name in ("live/work", "live/tokens", "live/runtime", "home"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self.pin, self.new_pin, self.so_pin = (secrets.token_hex(6) for _ in range(3))
        self.base = []
        self.halves = []  # nameless objects that the module did not finish, as a flow last saw them
        self.module, self.init, self.label = SOFTHSM, "", "sandbox"
        if kind == "nss":
            self.module, self.label = SOFTOKN, "NSS Certificate DB"
            self.init = (f"configdir='sql:{self.live}/tokens' certPrefix='' keyPrefix='' secmod='secmod.db' flags=")
        self.pin_file("so-pin", self.so_pin)
        self.pin_file("new-pin", self.new_pin)
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.live}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.environment = self.make_environment()

    def pin_file(self, name, pin):
        (self.folder / name).write_text(pin + "\n")
        (self.folder / name).chmod(0o600)

    def make_environment(self):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("HSMITH_", "PKCS11_", "SOFTHSM2_", "XDG_", "OPENSSL_"))}
        return kept | {
            "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": f"{self.folder}/home",
            "SOFTHSM2_CONF": f"{self.folder}/softhsm2.conf", "HSMITH_MODULE": self.module,
            "HSMITH_MODULE_INIT": self.init, "HSMITH_TOKEN": self.label, "HSMITH_PIN": self.pin,
            "HSMITH_SO_PIN_SOURCE": f"file:{self.folder}/so-pin", "HSMITH_STATE": str(self.state),
            "XDG_CONFIG_HOME": f"{self.folder}/home", "XDG_RUNTIME_DIR": f"{self.live}/runtime"}

    def make_token(self):
        if self.kind == "nss":
            self.pin_file("nss-pin", self.pin)
            self.must("certutil", "-N", "-d", f"sql:{self.live}/tokens", "-f", f"{self.folder}/nss-pin")
        else:
            self.must("softhsm2-util", "--init-token", "--free", "--label", self.label, "--so-pin", self.so_pin,
                      "--pin", self.pin)

    def must(self, *command):
        """Runs another program, or hsmith, that has to succeed."""
        ended = self.execute([str(self.binary) if command[0] == "hsmith" else command[0], *command[1:]], {})
        if ended.status != 0:
            raise RuntimeError(f"{' '.join(command)}: status {ended.status}: {ended.err}")
        return ended

    def execute(self, command, extra):
        process = subprocess.run(command, cwd=self.work, env=self.environment | extra, stdin=subprocess.DEVNULL,
                                 capture_output=True, timeout=COMMAND_SECONDS)
        return Run(process.returncode, process.stdout.decode(errors="replace"), process.stderr.decode(errors="replace"))

    def hsmith(self, arguments):
        return self.execute([str(self.binary), *arguments], {})

    def can_trace(self):
        """True where strace may look into hsmith, which forbids it to all but root."""
        return "write(1<" in "".join(call.text for call in self.hsmith_traced(["--version"])[1])

    def hsmith_with_fault(self, arguments, rules):
        """The run, and the log's lines on which a rule acted."""
        self.log.unlink(missing_ok=True)
        ended = self.execute([str(self.binary), *arguments], {
            "HSMITH_MODULE": str(self.fault_module), "HSMITH_FAULT_REAL": self.module,
            "HSMITH_FAULT_SCRIPT": f"inline:{rules}", "HSMITH_FAULT_LOG": str(self.log)})
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return ended, [line for line in lines if " rule=" in line]

    def hsmith_traced(self, arguments, inject=None):
        """The run, and the changing system calls of it in order; `inject` is strace's own syntax."""
        traced = ",".join(CHANGING) + ",openat"
        extra = ["-e", f"inject={inject}"] if inject else []
        sanitizer = {"ASAN_OPTIONS": os.environ["ASAN_OPTIONS"] + ":detect_leaks=0"} if "ASAN_OPTIONS" in os.environ else {}
        ended = self.execute(["strace", "-qq", "-y", "-s", "64", "-e", f"trace={traced}", *extra, "-o", str(self.trace),
                              str(self.binary), *arguments], sanitizer)  # LeakSanitizer would trace as well
        calls, counts = [], {}
        lines = self.trace.read_text(errors="replace").splitlines() if self.trace.exists() else []
        for line in lines:
            name = line.partition("(")[0]
            if name in CHANGING or name == "openat":
                counts[name] = counts.get(name, 0) + 1
                calls.append(SystemCall(name, counts[name], line))
        return ended, calls

    def is_modules_own(self, call):
        """True for the token's files, which its module writes, not hsmith."""
        return f"{self.live}/tokens" in call.text

    def save(self):
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.live, self.saved, symlinks=True)
        self.base = self.look().get("objects", [])

    def restore(self):
        shutil.rmtree(self.live)
        shutil.copytree(self.saved, self.live, symlinks=True)

    def look(self, label=None):
        """What another program sees on the token."""
        return cryptoki.look(self.module, self.init, label or self.label, [self.pin, self.new_pin],
                             {"SOFTHSM2_CONF": self.environment["SOFTHSM2_CONF"]})

    def files(self):
        """All files of hsmith's, but for the locks, with what is in them."""
        return {str(path.relative_to(self.live)): path.read_bytes() for top in (self.work, self.state)
                for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink()}

    def journal(self):
        return [json.loads(path.read_text()) for path in sorted(self.state.glob("journal/*.json"))]

    def leaks(self, ended):
        """True when a PIN stands in what a run printed or in a file of hsmith's."""
        texts = [ended.out.encode(), ended.err.encode(), *self.files().values()]
        pins = [pin.encode() for pin in (self.pin, self.new_pin, self.so_pin)]
        return any(pin in text for pin in pins for text in texts)
