#!/usr/bin/env python3
"""manual.py: makes the manual pages (docs/man/make), and looks whether each says what the help of its commands says. Exit 1 on a failure,
77 without scdoc.
"""
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith")).resolve()


def help_of(*words):
    return subprocess.run([BINARY, *words, "--help"], check=True, capture_output=True, text=True).stdout


def words_in(text):
    """What can be compared of a text and its page: the words."""
    return " ".join(re.findall(r"\w+", text))


def texts_of(*words):
    """The texts of a command's help: of its options, and what stands between them and the examples. Of its verbs', too."""
    lines = help_of(*words).split("\nExamples:")[0].splitlines()[2:]
    heading = ""
    for line, before in zip(lines, ["", *lines]):
        if re.match(r"\S", line):
            heading = line
            if not re.match(r"(Positionals|Options|Subcommands):|\[Option Group", line):
                yield line
        elif heading == "Subcommands:" and re.match(r"  \S", line):
            yield from texts_of(*words, line.split()[0])
        elif line.strip() and "--help" not in line + before and not line.startswith("  ["):
            # What follows the name, the kind of its value and what excludes it.
            yield re.sub(r"^\s*(--?\w[\w,-]*|[A-Z-]+)? *((TEXT|UINT|INT)\S*)?( in \[.*?\])?( \.\.\.)?( REQUIRED)?( ?(Excludes|Needs):( --[\w-]+)+)? *",
                         "", line).strip()


def main():
    if not shutil.which("scdoc"):
        print("not installed: scdoc")
        return 77
    missing = []
    with tempfile.TemporaryDirectory(prefix="hsmith-manual.") as folder:
        subprocess.run([ROOT / "docs/man/make", BINARY, folder], check=True)
        nouns = re.findall(r"^  (\w+) ", help_of().split("Subcommands:")[1].split("\nEach command")[0], re.MULTILINE)
        for noun in nouns:
            page = gzip.decompress((Path(folder) / f"hsmith-{noun}.1.gz").read_bytes()).decode()
            plain = words_in(re.sub(r"\\f[BIR]|\\&|\\e|\\", " ", page))
            missing += [f"hsmith-{noun}(1) does not say: {text}" for text in texts_of(noun) if words_in(text) not in plain]
    print("\n".join(missing))
    return 1 if missing else 0


sys.exit(main())
