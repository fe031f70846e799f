#!/usr/bin/env python3
"""Gives every command that reads a file or a name every kind of bad one (docs/bad-input.md).

    prefixes  each prefix of a good input         kinds     each other kind of file
    bits      each flipped bit of a good input    specials  empty, huge, endless, folder, FIFO, unreadable ...
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True  # sources stay as they are checked out

from input_commands import COMMANDS, same_answer
from input_world import KINDS, MOST_KIB, MOST_SECONDS, World

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = ("prefixes", "bits", "kinds", "specials")
SKIPPED = 77
# Statuses that a file which cannot be read may have, and what the message says of it.
SPECIALS = {
    "missing": (12, "No such file"), "unreadable": (12, "Permission denied"), "loop": (12, "Too many levels"),
    "folder": (6, "folder"), "socket": (12, "No such device"), "below-a-file": (12, "Not a directory"),
    "empty": (6, ""), "spaces": (6, ""), "silent-fifo": (12, "nobody writes"),
    "deep-der": (6, ""), "deep-json": (6, ""), "deep-toml": (6, ""),
    "sparse": (6, "larger than"), "zeros": (6, "larger than"), "endless-fifo": (6, "larger than"),
}
HARMLESS = ("empty", "spaces", "deep-der", "deep-json", "deep-toml")  # content like any other, where content does not matter
ENDLESS = ("sparse", "zeros", "endless-fifo")  # what begins wrongly need not be read until it is too large


@dataclass
class Result:
    name: str
    runs: int = 0
    failures: list = field(default_factory=list)


class Trial:
    """One command in one world."""

    def __init__(self, command, world, options):
        self.command, self.world, self.options = command, world, options
        self.result = Result(command.name)
        self.bad = world.work / command.place
        self.bad.parent.mkdir(parents=True, exist_ok=True)
        self.before = world.traces()
        self.written = self.good_output = b""

    def judge(self, point, ended, problems):
        self.result.runs += 1
        if self.options.point:
            print(f"{self.command.name}: {point}: status {ended.status}, {ended.kib} KiB\n{ended.out}{ended.err}")
        if problems:
            self.result.failures.append("\n    ".join(
                [f"{self.command.name}: {point}: status {ended.status}", *problems, *ended.err.splitlines()[:5]]))

    def run(self, argument, text=False):
        """The command with its input, and all that must hold whatever the input is."""
        words = [word.replace("{}", argument) for word in self.command.words.split()]
        ended = self.world.run(words if text else ["--json", *words])
        problems = common_problems(ended, text)
        made = self.world.work / self.command.output
        if self.command.output and ended.status == 0:
            if made.exists():
                self.written = made.read_bytes()
                made.unlink()
            else:
                problems.append("no output was written")
        after = self.world.traces()
        if after != self.before:
            if ended.status != 0:
                left = sorted(set(after.items()) ^ set(self.before.items()))
                problems.append(f"something is left: {left[:5]}")
            self.world.restore()
        elif self.command.restores and ended.status == 0:
            self.world.restore()
        return ended, problems

    def wants(self, point):
        return self.options.point in (None, point)

    def damaged(self, good, content, point, number):
        """A damaged good input: refused, or the answer is that of the good one."""
        if not self.wants(point):
            return
        if not self.command.uri:
            self.bad.write_bytes(content)
        ended, problems = self.run(os.fsdecode(content) if self.command.uri else "./bad", number % 8 == 7)
        if ended.status == 0 and number % 8 != 7 and not problems:
            check = self.command.same or same_answer
            problems += [complaint for complaint in [check(content, ended.data(), good)] if complaint]
            if self.command.repeats and self.written != self.good_output:
                problems.append("the output is another one than for the good input")
        elif ended.status not in {0} | self.command.statuses:
            problems.append(f"the status is none of {sorted(self.command.statuses)}")
        self.judge(point, ended, problems)

    def good_answers(self):
        """(name, content, data) of each good input; that it is good is tried first."""
        for name in self.command.valid:
            content = (self.world.work / name).read_bytes()
            yield name, content, self.good_answer(name, content)

    def good_answer(self, name, content):
        if not self.command.uri:
            self.bad.write_bytes(content)
        ended, problems = self.run(os.fsdecode(content) if self.command.uri else "./bad")
        if ended.status != self.command.status:
            problems.append(f"the status of the good input is not {self.command.status}")
        self.good_output = self.written
        self.judge(f"good {name}", ended, problems)
        return ended.data() if ended.status == 0 else None

    def points(self, end):
        stride = self.options.stride * self.command.thin
        return range(self.options.offset % stride, end, stride)

    def prefixes(self):
        for name, content, good in self.good_answers():
            for size in self.points(len(content)):
                if b"\0" not in content[:size] or not self.command.uri:
                    self.damaged(good, content[:size], f"prefix {name} {size}", size)

    def bits(self):
        for name, content, good in self.good_answers():
            for bit in self.points(8 * len(content)):
                changed = bytearray(content)
                changed[bit // 8] ^= 1 << bit % 8
                if not self.command.uri or 0 not in changed:
                    self.damaged(good, bytes(changed), f"bit {name} {bit}", bit)

    def kinds(self):
        """What is another kind is refused with both kinds named."""
        if self.command.uri or self.command.any_content or not self.command.expects:
            return
        for number, (name, kind) in enumerate(KINDS.items()):
            point = f"kind {name}"
            if kind in self.command.takes or not self.wants(point):
                continue
            shutil.copyfile(self.world.work / name, self.bad)
            ended, problems = self.run("./bad", number % 2 == 1)
            if ended.status != 6:
                problems.append("the status is not 6")
            if not all(text in ended.err for text in ('"./bad"', kind, self.command.expects)):
                problems.append(f"the message does not name the file, {kind} and {self.command.expects}")
            self.judge(point, ended, problems)

    def specials(self):
        if self.command.uri:
            return
        for number, (name, (status, cause)) in enumerate(SPECIALS.items()):
            harmless = self.command.any_content and name in HARMLESS
            if not self.wants(f"special {name}") or harmless or name in self.command.skips:
                continue
            if self.command.place != "./bad" and name in ("zeros", "below-a-file"):
                continue
            with Special(self.bad, name) as path:
                ended, problems = self.run(path, number % 2 == 1)
            allowed = {status, *(self.command.statuses if name in HARMLESS else ())}
            if ended.status not in allowed:
                problems.append(f"the status is none of {sorted(allowed)}")
            by_kind = name in ENDLESS and self.command.expects and self.command.expects in ended.err
            if cause not in ended.err and not by_kind:
                problems.append(f"the message does not say: {cause}")
            self.judge(f"special {name}", ended, problems)


class Special:
    """Something at a path that is no ordinary file, for as long as it is needed."""

    def __init__(self, path, name):
        self.path, self.name, self.writer, self.reader = path, name, None, -1

    def __enter__(self):
        path = self.path
        path.unlink(missing_ok=True)
        if self.name == "zeros":
            return "/dev/zero"
        if self.name == "below-a-file":
            return "./note/bad"
        getattr(self, self.name.replace("-", "_"))(path)
        return "./bad"

    def __exit__(self, *unused):
        if self.writer:
            self.writer.kill()
            self.writer.wait()
            os.close(self.reader)
        if self.path.is_dir():
            self.path.rmdir()
        self.path.unlink(missing_ok=True)

    def missing(self, path):
        pass

    def unreadable(self, path):
        path.write_text("secret")
        path.chmod(0)

    def loop(self, path):
        path.symlink_to(path.name)

    def folder(self, path):
        path.mkdir()

    def socket(self, path):
        with socket.socket(socket.AF_UNIX) as listener:
            folder = os.getcwd()
            os.chdir(path.parent)  # the name of a socket must be short
            listener.bind(path.name)
            os.chdir(folder)

    def empty(self, path):
        path.write_bytes(b"")

    def spaces(self, path):
        path.write_bytes(b" \n")

    def deep_der(self, path):
        path.write_bytes(b"\x30\x80" * 500000)

    def deep_json(self, path):
        path.write_bytes(b'{"a":' + b"[" * 500000)

    def deep_toml(self, path):
        path.write_bytes(b"a = " + b"[" * 500000)

    def silent_fifo(self, path):
        os.mkfifo(path)

    def sparse(self, path):
        with path.open("wb") as file:
            file.truncate(1 << 30)

    def endless_fifo(self, path):
        os.mkfifo(path)
        self.writer = subprocess.Popen(["sh", "-c", 'exec cat /dev/zero > "$0"', path], stderr=subprocess.DEVNULL)
        self.reader = os.open(path, os.O_RDONLY)  # there until the end, or the writer would end with the first reader


def strange_characters(text):
    """Characters that a line for people must not hold: controls, bidirectional and zero-width ones, raw bytes."""
    return sorted({f"U+{ord(c):04X}" for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")})


def common_problems(ended, text):
    """What must hold after every run."""
    problems = []
    if ended.seconds >= MOST_SECONDS:
        return [f"it did not end within {MOST_SECONDS} s"]
    if ended.status < 0:
        return [f"it died by signal {-ended.status}"]
    if ended.status == 1:
        problems.append("an internal error")
    if ended.kib > MOST_KIB:
        problems.append(f"it took {ended.kib >> 10} MiB of memory")
    expected = 0 if ended.status in (0, 3) else 1
    if len(ended.errors()) != expected:
        problems.append(f"{len(ended.errors())} lines of error instead of {expected}")
    elif expected and (not ended.errors()[0].startswith("hsmith: ") or ": " not in ended.errors()[0][8:]):
        problems.append("the error is not of the form what was tried, on which object: cause")
    if found := strange_characters(ended.err + (ended.out if text else "")):
        problems.append(f"printed as they are: {' '.join(found)}")
    if not text:
        try:
            answer = json.loads(ended.out.encode(errors="surrogateescape"))
            if answer["exit"] != ended.status or answer["ok"] != (ended.status == 0):
                problems.append("the JSON has another status")
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"no JSON object: {error}")
    return problems


def run_command(number, made, options):
    command = COMMANDS[number]
    folder = tempfile.mkdtemp(prefix="hsmith-input.")
    try:
        world = made.copy(Path(folder) / "world")
        trial = Trial(command, world, options)
        for group in options.groups:
            getattr(trial, group)()
        return trial.result
    except Exception:  # one command's failure must not hide the others
        return Result(command.name, 0, [f"{command.name}: the trial itself failed:\n{traceback.format_exc()}"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", metavar="WORDS", help="only the commands that begin so")
    parser.add_argument("--groups", default=",".join(GROUPS), help=f"of {','.join(GROUPS)}")
    parser.add_argument("--stride", type=int, default=1, help="only each N-th prefix and bit")
    parser.add_argument("--offset", type=int, default=0, help="with --stride: begin at another one")
    parser.add_argument("--point", help="only this one, as a failure names it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--hsmith", type=Path, default=os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith"))
    options = parser.parse_args()
    options.groups = [group for group in GROUPS if group in options.groups.split(",")]
    options.hsmith = Path(options.hsmith).resolve()
    return options


def main():
    options = parse_options()
    wanted = [number for number, command in enumerate(COMMANDS)
              if options.command is None or command.name.startswith(options.command)]
    if options.list:
        print("\n".join(COMMANDS[number].name for number in wanted))
        return 0
    failed = runs = 0
    with tempfile.TemporaryDirectory(prefix="hsmith-inputs.") as folder:
        world = World(Path(folder) / "world", options.hsmith)
        world.make()
        with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
            for result in pool.map(run_command, wanted, [world] * len(wanted), [options] * len(wanted)):
                runs, failed = runs + result.runs, failed + len(result.failures)
                print(f"{result.name}: {result.runs} runs, {len(result.failures)} failed", flush=True)
                for failure in result.failures:
                    print(f"FAILED: {failure}", flush=True)
    print(f"{runs - failed} passed, {failed} failed")
    return 1 if failed else 0 if runs else SKIPPED


if __name__ == "__main__":
    as_user = ROOT / "tests/support/as_user"
    if os.geteuid() == 0 and not os.environ.get("HSMITH_INPUT_AS_USER"):
        os.environ["HSMITH_INPUT_AS_USER"] = "1"  # root could read what is unreadable
        os.execv(as_user, [as_user, sys.executable, os.path.realpath(__file__), *sys.argv[1:]])
    sys.exit(main())
