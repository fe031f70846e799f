"""docs/tokens.md: the table of what each token does, which is also what the next run is compared with. docs/tokens-13.md on
Debian 13, which ci/nightly starts."""
import platform
import re
from pathlib import Path

from steps import ROWS
from tokens import TOKENS

DEBIAN = platform.freedesktop_os_release().get("VERSION_ID", "12")
IS_NEWER = DEBIAN != "12"  # which hsmith is made for
PAGE = Path(__file__).resolve().parents[2] / (f"docs/tokens-{DEBIAN}.md" if IS_NEWER else "docs/tokens.md")
NOT_RUN = "not run"
SCRIPT = "ci/nightly" if IS_NEWER else "ci/tokens"
COMPARING = "The program is the one for Debian 12." if IS_NEWER else \
    "`ci/tokens --check` compares. The modules of Debian 13 are in tokens-13.md."
HEAD = f"""# Tokens of Debian {DEBIAN}

What hsmith does with each PKCS#11 token that runs without hardware, on Debian {DEBIAN}. `{SCRIPT}` wrote this page: it took every token through
these steps with hsmith, and openssl checked what came of them. `{SCRIPT} NAME` renews one column. {COMPARING}

A number stands for a reason, below the table: what the token lacks, in hsmith's words (exit 10, or 4 and 9 where the token only failed; where it says
"comes initialised", or names a number of PINs, in the words of the run). "-" means that there is nothing to try it with, "not run" that the row is newer
than the column. "Lock the PIN" tells after how many wrong ones.

"""
TAIL = """
What a module does otherwise than the standard says, and hsmith allows for, stands with its version and reason in `tokens/quirks.cpp`.
How each token is started: `tests/support/with_*`, each of which gives any command a token of its own:

    tests/support/with_iso_card hsmith key list
"""


def write(columns, versions):
    """columns: name -> row -> cell; versions: name -> text."""
    reasons = []

    def cell(text):
        if text in ("-", NOT_RUN) or text.startswith("yes"):
            return text
        if text not in reasons:
            reasons.append(text)
        return str(reasons.index(text) + 1)
    names = [name for name in TOKENS if name in columns]
    lines = ["| | " + " | ".join(f"{TOKENS[name].title} {versions[name]}" for name in names) + " |",
             "| --- |" + " --- |" * len(names), "| name | " + " | ".join(f"`{name}`" for name in names) + " |"]
    for row in (row for row in ROWS if any(row in column for column in columns.values())):
        lines.append(f"| {row} | " + " | ".join(cell(columns[name].get(row, NOT_RUN)) for name in names) + " |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n\n" + "\n".join(notes) + "\n" + TAIL)


def read():
    """Columns and versions as the page has them."""
    text = PAGE.read_text() if PAGE.exists() else ""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    if not rows:
        return {}, {}
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE))
    names = [name.strip("`") for name in rows[2][1:]]
    versions = {name: title.removeprefix(TOKENS[name].title).strip() for name, title in zip(names, rows[0][1:]) if name in TOKENS}
    columns = {name: {} for name in names}
    for row in rows[3:]:
        for name, value in zip(names, row[1:]):
            columns[name][row[0]] = reasons.get(value, value)
    return {name: column for name, column in columns.items() if name in TOKENS}, versions
