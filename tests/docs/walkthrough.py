#!/usr/bin/env python3
"""walkthrough.py PAGE...: runs the commands that stand in pages of docs/, and compares what they print with what the page shows.

Commands are the lines that begin with "$ " in blocks of the kind `console`; a line that ends with a backslash goes on in the next, a
line that begins with "> " goes on with the command before it, and a here-document ends where it says. What follows, up to the next command or the block's end, is all that the command prints on both
outputs, where "…" stands for anything within a line and a line "…" for any lines. All commands of a page run in one shell, in
an empty folder. Each must succeed, unless the next is `echo $?`. A comment "<!-- run: COMMAND -->" is run and not shown: what
a reader does otherwise, as typing a PIN. Standard input is empty; nothing of the caller's hsmith goes along but its token, as
tests/support/with_* gives it. Exit 1 on a failure, 77 when the pages' programs are not installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith")).resolve()
PROGRAMS = ("curl", "jq", "nginx", "openssl", "softhsm2-util")
SECONDS = 240
# Says how a machine is set up, not what the command does.
OF_THE_MACHINE = re.compile(r"^hsmith: warning: the memory of private keys is not fully protected.*\n", re.MULTILINE)


class Malformed(Exception):
    """A page that cannot be read."""


@dataclass
class Step:
    line: int
    command: str
    shown: list = field(default_factory=list)  # the lines that the page shows
    hidden: bool = False


def command_at(lines, first):
    """The command that begins with `first`, and goes on in `lines`."""
    text = first
    while text.endswith("\\"):
        text += "\n" + next(lines)[1]
    document = re.search(r"<<-?'?(\w+)'?", text)
    while document and text.rpartition("\n")[2] != document[1]:
        text += "\n" + next(lines)[1]
    return text


def parse(page):
    """The steps of a page, in its order."""
    steps, in_block = [], False
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            in_block = line == "```console"
        elif hidden := re.fullmatch(r"<!-- run: (.*) -->", line):
            steps.append(Step(number, hidden[1], hidden=True))
        elif in_block and line.startswith("$ "):
            steps.append(Step(number, command_at(lines, line[2:])))
        elif in_block and line.startswith("> ") and steps and not steps[-1].shown:
            steps[-1].command += "\n" + line[2:]
        elif in_block:
            if not steps or steps[-1].hidden:
                raise Malformed(f"{page}:{number}: an output without a command")
            steps[-1].shown.append(line)
    if not any(not step.hidden for step in steps):
        raise Malformed(f"{page}: it has no command")
    return steps


def expression(shown):
    """A regular expression of the lines that a page shows."""
    parts = []
    for line in shown:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(part) for part in line.split("…")) + r"\n")
    return "".join(parts)


def script(steps, folder):
    """All of the steps for one shell; `$?` is the command's for the next one."""
    text = ""
    for number, step in enumerate(steps):
        text += f"{{ {step.command}\n}} >{folder}/{number}.out 2>&1\nstatus=$?; echo $status >{folder}/{number}.status; (exit $status)\n"
    return text


def failure(page, steps, folder):
    """The first step that did otherwise than the page says, in words, or nothing."""
    for number, step in enumerate(steps):
        where = f"{page}:{step.line}: $ {step.command}"
        status_file = folder / f"{number}.status"
        if not status_file.exists():
            return f"{where}\nit did not end"
        status, printed = int(status_file.read_text()), (folder / f"{number}.out").read_text(errors="replace")
        printed = OF_THE_MACHINE.sub("", printed)
        if printed and not printed.endswith("\n"):
            printed += "\n"
        is_asked_for = number + 1 < len(steps) and steps[number + 1].command == "echo $?"
        if status and not is_asked_for:
            return f"{where}\nstatus {status}\n{printed}"
        if not step.hidden and not re.fullmatch(expression(step.shown), printed):
            return f"{where}\n--- the page shows\n" + "\n".join(step.shown) + f"\n--- it prints\n{printed}---"
    return ""


def environment(private):
    """The caller's, with the token that it names, folders of its own, and hsmith on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_") and name != "HSMITH_STATE"}
    for name in ("home", "runtime"):
        (private / name).mkdir(mode=0o700)
    return kept | {"HOME": f"{private}/home", "XDG_RUNTIME_DIR": f"{private}/runtime", "LC_ALL": "C.UTF-8", "TZ": "UTC",
                   "PATH": f"{BINARY.parent}:{os.environ['PATH']}:/usr/sbin", "DOCS": str(ROOT / "docs")}


def run(page):
    steps = parse(page)
    with tempfile.TemporaryDirectory(prefix="hsmith-page.") as top:
        private, work, outputs = Path(top) / "private", Path(top) / "work", Path(top) / "outputs"
        for folder in (private, work, outputs):
            folder.mkdir()
        try:
            subprocess.run(["bash", "-c", script(steps, outputs)], cwd=work, env=environment(private),
                           stdin=subprocess.DEVNULL, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pass  # failure() names the command
        found = failure(page, steps, outputs)
    print(f"{page}: {found or f'{len(steps)} commands do what it says'}")
    return bool(found)


def main():
    missing = [program for program in PROGRAMS if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing:
        print(f"not installed: {' '.join(missing)}")
        return 77
    return max(run(Path(page)) for page in sys.argv[1:])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Malformed, StopIteration) as error:
        sys.exit(str(error) or "a page ends within a command")
