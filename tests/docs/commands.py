#!/usr/bin/env python3
"""commands.py: looks whether each hsmith command that docs/coming-from.md, a hint of an error or a remedy names is one, with options that
it has; of those that are to be run as they stand, whether the options that it wants are there; and whether what is filled in is right for
a shell, which runs what stands in double quotes or bare. Exit 1 on a failure.
"""
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith")).resolve()
SOURCES = ("src", "pkcs11", "tokens", "cli")
# These take the token from the command line only, by --token or in a URI.
DESTRUCTIVE = (["cert", "delete"], ["cert", "retire"], ["chain", "remove"], ["key", "delete"], ["token", "pin", "unblock"])
LITERAL = r'"((?:[^"\\\n]|\\.)*)"'
# What may be filled in where a command is named: words for a shell, digits, and prose that begins with a semicolon or a space.
SAFE = r"(shell_word|shell_line|exact_shell_word|hex)\(|found\.slot$|quirks\.first_place$|(serial|right|more)$|\(not_noted|or_delete\("


@functools.cache
def help_of(*words):
    ended = subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True)
    return ended.stdout.split("\nExamples:")[0] if ended.returncode == 0 else ""


@functools.cache
def verbs_of(*words):
    _, _, below = help_of(*words).partition("\nSubcommands:\n")
    return re.findall(r"^  ([a-z][a-z-]*) ", below, re.MULTILINE)


def options_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def required_of(*words):
    """The options without which the command does nothing, each with all its names; and the arguments."""
    lines = [line for line in help_of(*words).splitlines() if re.match(r"  \S.* REQUIRED", line)]
    return ([re.findall(r"--[a-z-]+|-[a-z]\b", line.split()[0]) for line in lines if line.startswith("  -")],
            [line.split()[0] for line in lines if not line.startswith("  -")])


def faults(command, runs_as_it_stands):
    """What is wrong with a command line, in words. Prose may follow it: only its first words and what begins with "-" count."""
    words = command.split()
    path, rest = [], words
    while verbs := verbs_of(*path):
        if not rest or rest[0] not in verbs:
            if not path:
                return  # "hsmith is …"
            if runs_as_it_stands:
                yield f"hsmith {' '.join(path)} what?"
            return
        path, rest = [*path, rest[0]], rest[1:]
    known = options_in(help_of(*path)) | options_in(help_of())
    given = options_in(" ".join(rest))
    for option in sorted(given - known):
        yield f"hsmith {' '.join(path)} has no {option}"
    options, arguments = required_of(*path)
    if runs_as_it_stands:
        missing = [names[-1] for names in options if not given & set(names)]
        missing += arguments if not rest and not command.endswith(" ") else []
        if path in DESTRUCTIVE and not re.search(r"--token|pkcs11:|URI|\{\}| $", command):
            missing.append("--token")
        if missing:
            yield f"hsmith {' '.join(path)} wants {', '.join(missing)}"


def of_the_table():
    text = (ROOT / "docs/coming-from.md").read_text()
    for number, line in enumerate(text.splitlines(), 1):
        for command in re.findall(r"`([^`]+)`", line.split(" | ")[1]) if line.startswith("| `") or line.startswith("| Mas") else []:
            if command.split()[0] not in verbs_of():
                yield f"docs/coming-from.md:{number}: {command}: there is no such command"
            for fault in faults(command, False):
                yield f"docs/coming-from.md:{number}: {command}: {fault}"


def expressions(source, at, ends):
    """The C++ expressions from `at`, parted by commas outside of brackets, up to one of `ends` there."""
    depth, parts = 0, [""]
    for token in re.finditer(rf"{LITERAL}|.", source[at:], re.DOTALL):
        text = token[0]
        if depth == 0 and text in ends:
            break
        if depth == 0 and text == ",":
            parts.append("")
            continue
        depth += text in ("(", "{", "[")
        depth -= text in (")", "}", "]")
        parts[-1] += text
    return [re.sub(r"\s+", " ", part).strip() for part in parts]


def unsafe(text, source, at):
    """What is filled in behind the first command of the text, which ends at `at`, and is no word for a shell."""
    nouns = "|".join(verbs_of())
    command = re.search(rf"\bhsmith ({nouns})\b|\b(chmod|chown|mkdir|rm|sudo) ", text)
    if not command:
        return
    places = [place.start() for place in re.finditer(r"\{\d?(:[^}]*)?\}", text)]
    if any(place > command.start() for place in places) and source[at:].lstrip().startswith(","):
        filled = expressions(source, source.index(",", at) + 1, ")}")
        for place, expression in zip(places, filled):
            if place > command.start() and not re.match(SAFE, expression):
                yield expression
    elif not places and re.match(r"\s*\+", source[at:]):
        expression = expressions(source, source.index("+", at) + 1, "+);,")[0]
        if not re.match(SAFE, expression):
            yield expression


def of_the_sources():
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.cpp")):
        source = re.sub(r"^\s*(//|#).*$", "", path.read_text(), flags=re.MULTILINE)
        for found in re.finditer(LITERAL + rf"(?:\s*{LITERAL})*", source):
            text = "".join(re.findall(LITERAL, found[0])).split("Examples:")[0]
            for expression in unsafe(text, source, found.end()):
                yield f"{path.relative_to(ROOT)}: {text!r}: {expression} is no word for a shell: use shell_word()"
            is_hint = source[:found.start()].rstrip().endswith("hint(")
            for part in re.finditer(r"(: |^)?\bhsmith ([a-z][^;,()]*)", text):
                for fault in faults(part[2].split("\\n")[0], part[1] == ": " or part[1] == "" and is_hint):
                    yield f"{path.relative_to(ROOT)}: {text!r}: {fault}"


def main():
    wrong = [*of_the_table(), *of_the_sources()]
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
