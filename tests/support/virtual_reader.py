"""A virtual reader of vsmartcard-vpcd behind a pcscd that only one test reaches, and cards to put into it.

The pcscd takes its socket from here, as from systemd, and so needs no place that another pcscd has. Between reader and
card stands a thread that can pull the card out: Reader.pull_file says when.
"""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SHARED = Path(os.environ.get("HSMITH_SHARED", Path(__file__).resolve().parents[3] / "shared"))
EMULATORS = SHARED / "tokens"
DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PCSCD = "/usr/sbin/pcscd"
SECONDS = 60
OTHER_PCSCD = "/run/pcscd"  # pcscd makes this folder though it uses nothing in it
QUICKACK = 12  # of TCP: vpcd writes head and body of a message apart, and each would wait 40 ms


def lacking(*files):
    """What this machine lacks for a reader and for `files`, or nothing."""
    for path in (PCSCD, DRIVER, *files):
        if not Path(path).exists():
            return f"there is no {path}"
    if subprocess.run(["/usr/bin/python3", "-c", "import cryptography"], capture_output=True).returncode:
        return "/usr/bin/python3 has no module cryptography"
    if not os.path.isdir(OTHER_PCSCD) and not os.access(os.path.dirname(OTHER_PCSCD), os.W_OK):
        return f"only root can make {OTHER_PCSCD}"
    return ""


def free_ports():
    """The first of two ports, one for each slot of the reader, that nobody listens on."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
                return port
            except (OSError, OverflowError):
                continue


def wait_until(what, ready, process):
    end = time.monotonic() + SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{what}: {'it ended' if process.poll() is not None else 'it takes too long'}")
        time.sleep(0.02)


def start_pcscd(folder, name, port):
    """A pcscd that serves folder/socket and has the one virtual reader `name`."""
    (folder / "readers").mkdir(exist_ok=True)
    (folder / "socket").unlink(missing_ok=True)
    (folder / "readers/vpcd").write_text(
        f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:0x{port:X}\nLIBPATH {DRIVER}\nCHANNELID 0x{port:X}\n')
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    # sd_listen_fds(3): descriptor 3, and the number of the process that it is meant for.
    script = 'exec 3<&"$1"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    # Debian 13's asks polkit who may use a card, where that is not running.
    known = subprocess.run([PCSCD, "--help"], capture_output=True, text=True)
    without_polkit = ["--disable-polkit"] if "--disable-polkit" in known.stdout + known.stderr else []
    with open(folder / "pcscd.log", "w") as log:
        pcscd = subprocess.Popen(["bash", "-c", script, "bash", str(listener.fileno()), PCSCD, "--foreground", "--info",
                                  "--config", folder / "readers", *without_polkit],
                                 pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    listener.close()
    return pcscd


class Message:
    """The messages between reader and card: two bytes of length, and that many."""

    @staticmethod
    def receive(connection):
        """The next message, or None at the end."""
        def exactly(size):
            data = b""
            while len(data) < size:
                connection.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)
                try:
                    part = connection.recv(size - len(data))
                except OSError:
                    return None
                if not part:
                    return None
                data += part
            return data
        head = exactly(2)
        return exactly(int.from_bytes(head, "big")) if head else None

    @staticmethod
    def send(connection, data):
        try:
            connection.sendall(len(data).to_bytes(2, "big") + data)
        except OSError:
            return False
        return True


class Reader:
    """An empty reader; insert() puts a card into it."""

    def __init__(self, folder, port, name):
        self.folder, self.port, self.name = folder, port, name
        self.socket = folder / "socket"
        # "N before" or "N after": the card is pulled out before or after it did the N-th command from here on; it
        # is put back when the file is gone.
        self.pull_file = folder / "pull"
        self.pulled_file = folder / "pulled"  # when that was, by time.monotonic(), which is the same in every process
        self.restart_file = folder / "restart"  # asks for another pcscd, when the first one has died
        self.commands_file = folder / "commands"  # how many commands the card has had
        self.processes = []
        self.commands = self.pulls = 0

    def log_has(self, text, times=1):
        return (self.folder / "pcscd.log").read_text(errors="replace").count(text) >= times

    def insert(self, command, environment=None):
        """Starts a card, COMMAND with "{port}" where it is to be told where to connect, and waits until it is seen."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            with open(self.folder / "card.log", "w") as log:
                card = subprocess.Popen([str(part).replace("{port}", port) for part in command], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.processes.append(card)
            listener.settimeout(0.1)
            accepted = []

            def connected():
                with contextlib.suppress(TimeoutError):
                    accepted.append(listener.accept()[0])
                return accepted
            wait_until("start the card", connected, card)
        accepted[0].settimeout(None)
        threading.Thread(target=self.carry, args=(accepted[0],), daemon=True).start()
        wait_until("insert the card", lambda: self.log_has("Card inserted"), card)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def restart(self, card):
        """Another pcscd in the place of one that has died, when that is asked for, with the card in its reader."""
        while not self.restart_file.exists():
            time.sleep(0.01)
        self.pulls = 0  # its log is new
        self.processes.append(start_pcscd(self.folder, self.name, self.port))
        wait_until("start another pcscd", lambda: self.log_has("daemon ready"), self.processes[-1])
        self.restart_file.unlink()
        Message.send(card, b"\0")  # the power was off
        return self.connect()

    def pull_at(self):
        """How many commands are left before the card is pulled, and whether the last of them is done; or None."""
        with contextlib.suppress(OSError, ValueError):
            count, when = self.pull_file.read_text().split()
            return int(count), when == "after"
        return None

    def carry(self, card):
        """Carries messages between reader and card, and pulls the card when it is time."""
        card.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, last_request, since = self.connect(), None, 0
        while True:
            message = Message.receive(reader)
            if message is None:
                reader.close()
                reader = self.restart(card)
                continue
            is_command = len(message) > 1
            pull = self.pull_at() if is_command else None
            if is_command:
                self.commands += 1
                self.commands_file.write_text(str(self.commands))
            if pull and pull != last_request:
                last_request, since = pull, 0
            since += is_command
            pulled = pull and since >= pull[0]
            if not pulled or pull[1]:
                Message.send(card, message)
                answer = Message.receive(card) if is_command or message == b"\4" else b""
                if answer is None:
                    break
                if answer and not pulled:
                    Message.send(reader, answer)
            if pulled:
                self.pulled_file.write_text(str(time.monotonic()))
                reader.close()
                self.pulls += 1
                # A card that is back before pcscd saw that it was gone stays unusable.
                while self.pull_file.exists() or not self.log_has("Card Removed", self.pulls):
                    time.sleep(0.01)
                Message.send(card, b"\0")  # the power was off
                last_request, reader = None, self.connect()
        reader.close()


@contextlib.contextmanager
def virtual_reader(name):
    """A Reader called `name`; all that was started for it ends with it."""
    reader = None
    processes = []
    with tempfile.TemporaryDirectory(prefix="hsmith-card.") as top:
        try:
            # Another process may take a port between the look at it and its use.
            for attempt in range(5):
                port = free_ports()
                place = Path(top) / str(attempt)
                place.mkdir()
                processes.append(start_pcscd(place, name, port))
                reader = Reader(place, port, name)
                reader.processes = processes
                wait_until("start pcscd", lambda: reader.log_has("daemon ready"), processes[-1])
                if not reader.log_has("failed"):
                    break
            yield reader
        finally:
            for process in reversed(processes):
                process.kill()  # a pcscd that ends by itself removes another one's /run/pcscd/pcscd.pid
                process.wait()


def run_command(command, reader, settings):
    """COMMAND's exit status, with the reader and `settings` in its environment and nothing else of hsmith's token."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("HSMITH_TOKEN", "HSMITH_MODULE_INIT", "HSMITH_SO_PIN_SOURCE")}
    environment |= {"PCSCLITE_CSOCK_NAME": str(reader.socket), "CARD_PULL": str(reader.pull_file),
                    "CARD_PULLED": str(reader.pulled_file), "CARD_RESTART": str(reader.restart_file),
                    "CARD_COMMANDS": str(reader.commands_file), "PCSCD_PID": str(reader.processes[0].pid)}
    status = subprocess.run(command, env=environment | settings).returncode
    return status if status >= 0 else 128 - status  # a signal, as a shell tells it


def end_on_sigterm():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def secret_file(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return f"file:{path}"
