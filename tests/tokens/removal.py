#!/usr/bin/python3
"""removal.py [--short] [SCENARIO...]: tokens that go away, or fail whole, in the middle of each operation.

A card is pulled out of its reader before or after some command of each operation, and put back; pcscd, a p11-kit server and a TPM die
while a bulk signature waits, and are started again; a TPM has no memory left; a module ends the process. Each time: one clear error
within 5 s; no half-made file; and the next run does it, after `hsmith doctor --repair` where the error says so. --short pulls cards in two operations only. Exit 1 on
a failure, 77 when nothing can be started.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # sources stay as they are checked out

import steps
from tokens import SUPPORT, TOKENS

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith")).resolve()
FAULT_MODULE = Path(os.environ.get("HSMITH_FAULT_MODULE", BINARY.parent / "tests/hsmith_fault_module.so"))
CACKEY = "/usr/lib/pkcs11/libcackey.so"
SECONDS = 60 if "ASAN_OPTIONS" in os.environ else 5  # from when the token is gone to the error
SHORT = "TOKENS_SHORT"  # in the environment of what is started
# What an error may be called when a token is gone. "internal" is not among them, nor is a death by signal.
KINDS = ("token_removed", "token_failed", "token_damaged", "not_found", "login_failed", "token_full", "module_load")


class Trial(steps.Run):
    """A token in use, and what is tried on it."""

    def expect_failure(self, ended, since):
        """One clear error, no later than SECONDS after `since`: when the token was taken away."""
        if ended.status == 0:
            raise steps.Failed("it says that it is done")
        if ended.status < 0 or ended.error.get("kind") not in KINDS or not ended.message:
            raise steps.Failed(f"no clear error: status {ended.status}: {ended.err}{ended.out}")
        if time.monotonic() - since > SECONDS:
            raise steps.Failed(f"it takes {time.monotonic() - since:.1f} s: {ended.err}")

    def repair(self):
        """What the error's hint asks for. Two runs: what was begun may only be known after the first."""
        for _ in range(2):
            ended = self.execute([self.binary, "doctor", "--repair", "--yes", "--json"])
            if ended.status == 0:
                return
        raise steps.Failed(f"doctor --repair: status {ended.status}: {ended.out}{ended.err}")

    def begin(self, *arguments):
        """A bulk signature whose second file is a pipe: it waits there, logged in, with one signature made."""
        pipe = self.path("pipe")
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self.path("first").write_text("first\n")
        process = subprocess.Popen([BINARY, "sign", *arguments, "first", "pipe", "--json", "--force"], cwd=self.folder,
                                   env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        writer = os.open(pipe, os.O_WRONLY)  # waits until it is being read
        return process, writer

    def end(self, process, writer):
        since = time.monotonic()
        os.write(writer, b"second\n")
        os.close(writer)
        out, err = process.communicate(timeout=60)
        ended = steps.Ended(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"), 0)
        self.expect_failure(ended, since)
        if self.path("pipe.sig").exists():
            raise steps.Failed("there is a signature of what was not signed")


def flows(run, officer):
    """Name, the command that is disturbed, and the file that it makes: of which nothing may be there when it fails."""
    so = ["--login-as", "so"] if officer else []
    place = ["--replace", "05", "--yes"] if officer else []
    rsa, opens = run.made["rsa"], run.made["rsa-opens"]
    yield "key list", lambda number: ["key", "list"], None
    yield "key generate", lambda number: ["key", "generate", f"new{number}", "--type", "ec:p256" if officer else "rsa:2048", *so, *place], None
    yield "request new", lambda number: ["request", "new", steps.name_of(rsa), "--cn", "x", "-o", "new.csr", "--force"], "new.csr"
    yield "sign", lambda number: ["sign", "--key", steps.name_of(rsa), "note", "-o", "note.sig", "--force"], "note.sig"
    yield "decrypt", lambda number: ["decrypt", "--key", steps.name_of(opens), "note.p7m", "-o", "opened", "--force"], "opened"
    yield "key prove", lambda number: ["key", "prove", steps.name_of(rsa), "-o", "proof", "--challenge", "0123456789abcdef" * 2, "--force"], "proof"
    yield "recover", lambda number: ["recover", "alice.rec", "-o", "recovered.p12", "--officer-cert", "officer.crt", "--out-password-source",
                                     "file:password", "--force"], "recovered.p12"
    yield "request complete", lambda number: ["request", "complete", next_certificate(run, rsa, number, officer), *so], None
    yield "token pin change", lambda number: ["token", "pin", "change", "--new-pin-source", f"file:{run.path('same-pin')}"], None


def next_certificate(run, key, number, officer):
    """A later certificate of the same key, which takes the place of the one on the card. An ISO card takes one of a key only, and
    says so."""
    path = run.path(f"later{number}.crt")
    if not officer:
        run.hsmith("cert", "delete", steps.name_of(key), "--token", os.environ["HSMITH_TOKEN"], "--yes", allowed=(5,))
    if not path.exists():
        time.sleep(1.1)  # its validity begins later
        steps.issue(run, f"{key['id']}.csr", path)
    return path


def pull(run, officer):
    """The card is pulled at some commands of each operation."""
    places = iter(("02", "03", "05"))
    for wanted in (steps.KEYS[0], steps.KEYS[1], *([steps.KEYS[4]] if officer else [])):
        steps.generate_one(run, wanted, next(places) if officer else None)
    steps.list_keys(run)
    steps.certify(run)
    run.file("same-pin", os.environ["HSMITH_PIN"])
    opens = run.made["rsa-opens"]
    run.must("openssl", "cms", "-encrypt", "-binary", "-in", "note", "-outform", "DER", "-aes256", "-out", "note.p7m", "-recip",
             run.certificate(opens))
    if SHORT not in os.environ:
        steps.recover(run)  # leaves a recovery blob for the card
    counter, pull_file, pulled = (Path(os.environ[f"CARD_{name}"]) for name in ("COMMANDS", "PULL", "PULLED"))
    number = 0
    for name, command, made in flows(run, officer):
        if SHORT in os.environ and name not in ("key generate", "sign"):
            continue
        number += 1
        begun = time.monotonic()
        arguments = command(number)
        before = int(counter.read_text())
        run.hsmith(*arguments)
        commands = int(counter.read_text()) - before
        for share, when in ((0.3, "before"), (0.6, "after"), (0.85, "before"), (0.97, "after")):
            number += 1
            at = max(1, int(commands * share))
            arguments = command(number)
            if made:
                run.path(made).unlink(missing_ok=True)
            pull_file.write_text(f"{at} {when}")
            pulled.unlink(missing_ok=True)
            ended = run.execute([BINARY, *arguments, "--json", "--batch"])
            pull_file.unlink()
            where = f"{name}, pulled {when} command {at} of {commands}"
            try:
                if ended.status:  # what the last commands are about may not matter any more
                    run.expect_failure(ended, float(pulled.read_text()))
                    if made and run.path(made).exists():
                        raise steps.Failed(f"{made} is there")
                wait_for_card(run)
                if "doctor" in ended.err:
                    run.repair()
                again(run, name, arguments, command, number)
                if name == "key generate" and not officer:
                    delete_new_keys(run)
            except steps.Failed as failure:
                raise steps.Failed(f"{where}: {failure}\n(first: {ended.status}: {ended.err})") from None
        print(f"{run.token.title}: {name}: {commands} commands, {time.monotonic() - begun:.0f} s", flush=True)


def again(run, name, arguments, command, number):
    """The same once more. A key or a certificate that is whole already is not made twice."""
    ended = run.execute([BINARY, *arguments, "--json", "--batch"])
    if ended.status == 8 and name == "key generate":
        ended = run.execute([BINARY, *command(number + 1000), "--json", "--batch"])
    if ended.status:
        raise steps.Failed(f"the next run: status {ended.status}: {ended.err}")
    expect_nothing_left(run)


def expect_nothing_left(run):
    report = run.execute([BINARY, "doctor", "--json"])
    if "was interrupted" in report.out and "nothing was interrupted" not in report.out:
        raise steps.Failed(f"something is left: {report.out}")


def delete_new_keys(run):
    """The ISO card has room for eight keys."""
    for key in run.hsmith("key", "list").data["keys"]:
        if key["label"].startswith("new"):
            run.hsmith("key", "delete", steps.name_of(key), "--token", os.environ["HSMITH_TOKEN"], "--yes")


def wait_for_card(run):
    """Until the reader has seen the card again, which it does twice a second."""
    for _ in range(20):
        time.sleep(0.5)
        if run.execute([BINARY, "token", "info", "--json"]).status == 0:
            return
    raise steps.Failed("the card does not come back")


def pcscd_dies(run):
    """pcscd dies while a bulk signature waits. With another one the next run works."""
    steps.generate_one(run, steps.KEYS[0], None)
    process, writer = run.begin("--key", "rsa")
    os.kill(int(os.environ["PCSCD_PID"]), signal.SIGKILL)
    run.end(process, writer)
    expect_no_token(run)
    Path(os.environ["CARD_RESTART"]).touch()
    wait_for_card(run)
    expect_all_is_well(run)


def server_dies(run, pid_variable):
    """The process dies that the token depends on, while a bulk signature waits. When it is started again the next run works."""
    initialised(run)
    steps.generate_one(run, steps.KEYS[0], None)
    pid = int(os.environ[pid_variable])
    program, command = os.readlink(f"/proc/{pid}/exe"), Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    process, writer = run.begin("--key", "rsa")
    # Of a p11-kit server the one that serves us too.
    for one in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        os.kill(one, signal.SIGKILL)
    run.end(process, writer)
    expect_no_token(run)
    another = subprocess.Popen(command, executable=program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for_card(run)
        expect_all_is_well(run)
    finally:
        for one in [*map(int, Path(f"/proc/{another.pid}/task/{another.pid}/children").read_text().split()), another.pid]:
            os.kill(one, signal.SIGKILL)
        another.wait()


def server_of_one_dies(run):
    """The process of a p11-kit server that serves a bulk signature dies; it makes another one for the next run."""
    initialised(run)
    steps.generate_one(run, steps.KEYS[0], None)
    pid = os.environ["P11KIT_SERVER_PID"]
    process, writer = run.begin("--key", "rsa")
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(one), signal.SIGKILL)
    run.end(process, writer)
    expect_all_is_well(run)


def expect_no_token(run):
    since = time.monotonic()
    run.expect_failure(run.execute([BINARY, "key", "list", "--json"]), since)


def expect_all_is_well(run):
    run.hsmith("sign", "--key", "rsa", "note", "--force")
    expect_nothing_left(run)


def no_memory(run):
    """The TPM's memory for objects is full, of others' objects."""
    flush = "tpm2_flushcontext -t; tpm2_flushcontext -l"
    steps.initialise(run)
    steps.generate_one(run, steps.KEYS[0], None)
    run.execute(["bash", "-c", flush])
    for number in range(3):
        run.execute(["tpm2_createprimary", "-Q", "-c", f"context{number}"])
    for arguments in (["key", "list"], ["key", "generate", "new", "--type", "ec:p256"], ["sign", "--key", "rsa", "note"]):
        since = time.monotonic()
        run.expect_failure(run.execute([BINARY, *arguments, "--json"]), since)
    run.execute(["bash", "-c", flush])
    run.hsmith("sign", "--key", "rsa", "note")
    run.hsmith("key", "generate", "new", "--type", "ec:p256")


def module_ends(run):
    """A module that ends the process, in each of the ways."""
    steps.generate_one(run, steps.KEYS[0], None)
    faulty = {"HSMITH_MODULE": str(FAULT_MODULE), "HSMITH_FAULT_REAL": os.environ["HSMITH_MODULE"]}
    for rule in ("raise before C_Sign 1 SIGABRT", "raise before C_Sign 1 SIGSEGV", "raise after C_Login 1 SIGBUS"):
        since = time.monotonic()
        ended = run.execute([BINARY, "sign", "--key", "rsa", "note", "--json"], faulty | {"HSMITH_FAULT_SCRIPT": f"inline:{rule}"})
        run.expect_failure(ended, since)
        if run.path("note.sig").exists():
            raise steps.Failed("there is a signature")
    since = time.monotonic()
    run.expect_failure(run.execute([BINARY, "key", "generate", "new", "--type", "ec:p256", "--json"],
                                   faulty | {"HSMITH_FAULT_SCRIPT": "inline:raise after C_GenerateKeyPair 1 SIGSEGV"}), since)
    run.repair()
    run.hsmith("sign", "--key", "rsa", "note")


def cackey(run):
    """cackey 0.7.11 ends its process when it looks for slots."""
    if not Path(CACKEY).exists():
        return
    crashing = {"HSMITH_MODULE": CACKEY}
    since = time.monotonic()
    run.expect_failure(run.execute([BINARY, "key", "list", "--json"], crashing), since)
    listed = run.execute([BINARY, "token", "list", "--json"], crashing)
    if listed.status not in (0, 9, 11) or "crashed" not in listed.out:
        raise steps.Failed(f"token list: {listed.status}: {listed.out}{listed.err}")


def on_cards_of(officer):
    return lambda run: pull(run, officer)


SCENARIOS = {  # name: how it is started, what is done
    "piv-card-pulled": ("piv-ykcs11", on_cards_of(True)),
    "iso-card-pulled": ("iso-opensc", on_cards_of(False)),
    "pcscd-dies": ("iso-opensc", pcscd_dies),
    "server-dies": ("p11-kit", lambda run: server_dies(run, "P11KIT_SERVER_PID")),
    "server-of-one-dies": ("p11-kit", server_of_one_dies),
    "tpm-dies": ("tpm", lambda run: server_dies(run, "SWTPM_PID")),
    "tpm-without-memory": ("tpm", no_memory),
    "module-ends": ("softhsm", lambda run: (initialised(run), module_ends(run))),
    "cackey": ("cac-opensc", cackey),
}


def initialised(run):
    try:
        steps.initialise(run)
    except steps.Cannot:
        pass


def inside(name, folder):
    token, do = SCENARIOS[name]
    try:
        do(Trial(TOKENS[token], folder, BINARY))
    except (steps.Failed, steps.Cannot) as failure:
        print(f"FAILED: {name}: {failure}")
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description="Takes tokens away in the middle of operations")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--short", action="store_true", help="fewer operations")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    options = parser.parse_args()
    if options.inside:
        return inside(*options.inside)
    if options.short:
        os.environ[SHORT] = "yes"
    results = []
    for name in options.scenarios or SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="hsmith-removal.") as folder:
            ended = subprocess.run([*TOKENS[SCENARIOS[name][0]].starter, sys.executable, __file__, "--inside", name, folder])
        results.append(ended.returncode)
        print(f"{name}: {'passed' if ended.returncode == 0 else 'skipped' if ended.returncode == 77 else 'FAILED'}", flush=True)
    return 1 if any(status not in (0, 77) for status in results) else 0 if 0 in results else 77


sys.exit(main())
