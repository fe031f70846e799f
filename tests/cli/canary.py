"""Looks for a case's PINs where they do not belong: in files, outputs, arguments and the environment of children (--canary)."""
import base64
import os
import threading
import time
from pathlib import Path


def forms(text):
    """The text raw, in hex, in Base64 wherever it begins within a group, in UTF-16, percent-encoded."""
    raw = text.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), text.encode("utf-16-le"))
    yield from ("".join(f"%{byte:02X}" for byte in raw).encode(), ":".join(f"{byte:02x}" for byte in raw).encode())
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw)
        yield from {part[4 if shift else 0:-4] for part in (encoded, encoded.replace(b"+", b"-").replace(b"/", b"_"))}


class Watch:
    """Samples /proc while a command of the case runs, and searches what the case leaves."""

    def __init__(self, pins, hsmith):
        self.pins, self.hsmith = pins, os.path.realpath(hsmith)
        self.searched = [form for pin in pins for form in forms(pin)]
        self.hits, self.running, self.samples = set(), True, 0

    def holds(self, content):
        return any(form in content for form in self.searched)

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
                self.samples += 1
                self._search(f"{folder}/cmdline", f"arguments of process {process}")
                # hsmith itself is given its PIN in the environment, and wipes it; its children never see it.
                if not is_hsmith:
                    self._search(f"{folder}/environ", f"environment of a child of hsmith, {os.readlink(f'{folder}/exe')}")
        except (OSError, ValueError, IndexError):
            pass  # it has ended

    def _search(self, path, name):
        content = Path(path).read_bytes()
        if self.holds(content):
            # The command line of a shell that runs a step names the variable, not the PIN.
            self.hits.add(f"{name}: {content[:200]!r}")

    def search_output(self, line, out, err):
        for name, text in (("standard output", out), ("standard error", err)):
            if self.holds(text.encode(errors="surrogateescape")):
                self.hits.add(f"{name} of the command in line {line}")

    def is_pin_file(self, content):
        """A file that a case made to hold a PIN: that it holds nothing else tells it."""
        lines = content.replace(b"\r", b"").decode(errors="replace").splitlines()
        return bool(lines) and lines[0] in self.pins and len(lines) <= 2

    def search_files(self, top):
        for path in Path(top).rglob("*"):
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                content = path.read_bytes()
            except OSError:
                continue
            if self.holds(content) and not self.is_pin_file(content):
                self.hits.add(f"the file {path.relative_to(top)}")
            if path.name == "core" or path.name.startswith("core."):
                self.hits.add(f"a core file, {path.relative_to(top)}")
