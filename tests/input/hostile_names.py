#!/usr/bin/env python3
"""Names with escapes, line ends, bidirectional and zero-width characters, NUL, bytes that are no text, and 64 KiB, in certificates,
requests, and on the token: wherever one is printed, one line stays one line, and JSON stays one object (docs/bad-input.md)."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # sources stay as they are checked out
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests/fault"))

import cryptoki
from bad_input import common_problems
from input_world import SOFTHSM, World

HARMLESS = b"harmless-name"
NAMES = {
    "an escape sequence": b"a\x1b[31mred", "a line end": b"a\nhsmith: done", "a carriage return": b"a\r\nb\tc",
    "C1 controls": "a\x9b31mb\x85c\x7f".encode(), "right to left": "a\u202egpj.exe\u2066\u200fb".encode(),
    "nothing to see": "a\u200b\u200d\ufeff\u00ad\U000e0041\ufe0f\u3164b".encode(), "line separators": "a\u2028b\u2029c".encode(),
    "NUL": b"good.example\0.evil.example", "no UTF-8": b"a\xff\xfe\xc0\xafb\xed\xa0\x80", "quotes and JSON": b'a"},{"ok":true,\\u0022x\'',
    "a shell's characters": b"a $(id) `id`; rm -rf ~ | & # %s %n {0} {}", "URI characters": b"a;object=b?pin-value=1&c%00d/e",
    "64 KiB": b"A" * 65000, "64 KiB of what is escaped": "\u202e".encode() * 21000,
}
# {id} is the hostile key's, {name} its label as an argument. ./c.der and ./r.der hold the name.
COMMANDS = [
    "cert show ./c.der", "cert verify ./c.der --trust ca.pem", "cert verify ./c.der --trust ca.pem --host other.example",
    "cert verify ./c.der --trust mail.pem", "cert match ./c.der", "cert match ./mail.pem id:{id}", "cert install ./c.der --plan",
    "cert install ./c.der --trust mail.pem --plan", "request show ./r.der", "request check ./r.der", "request check ./r.der --profile server",
    "verify --cert ./c.der note.sig note", "key list", "key show id:{id}", "key public id:{id}", "cert list", "cert list --expiring 90d",
    "cert show id:{id}", "cert export id:{id}", "cert delete id:{id} --plan --token sandbox", "key delete id:{id} --plan --token sandbox",
    "key rename id:{id} other --plan", "key rename id:{id} mail", "request list", "request new id:{id} --cn x -o made --plan",
    "token list", "token info", "sign --key id:{id} -o made note --plan", "use id:{id} --for openssl", "use id:{id} --for nginx",
    "use id:{id} --for apache", "use id:{id} --for ssh", "use id:{id} --for git", "use id:{id} --for curl", "doctor", "log show",
    "completion words -- key show ", "completion words -- cert show ", "key show {name}", "cert show {name}", "key show {name}x",
    "key generate {name} --type ec:p256 --plan", "request new mail --subject CN={name} -o made --plan", "key show ./{name}", "cert show ./{name}",
    "sign --key mail ./{name}", "key list --token {name}", "token list --module {name}", "log show --state ./{name}",
    "key list --config ./{name}", "cert verify ./web.pem --trust {name}",
]
LONGER = ("request check", "cert export", "completion", "use id:{id} --for nginx", "use id:{id} --for apache",
          "use id:{id} --for curl")


def elements(content):
    """The elements of DER, each whole."""
    found = []
    while content:
        size, header = content[1], 2
        if size > 127:
            header += size & 127
            size = int.from_bytes(content[2:header], "big")
        found.append(content[:header + size])
        content = content[header + size:]
    return found


def inside(element):
    return element[2 + (element[1] & 127 if element[1] > 127 else 0):]


def der(tag, content):
    size = len(content).to_bytes(4, "big").lstrip(b"\0")
    return bytes([tag]) + (bytes([len(content)]) if len(content) < 128 else bytes([0x80 | len(size)]) + size) + content


def distinguished_name(value):
    """A common name: UTF8String, or TeletexString for bytes that are none."""
    try:
        value.decode()
        tag = 0x0c
    except UnicodeDecodeError:
        tag = 0x14
    return der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403") + der(tag, value))))


def with_subject(content, place, value, key, work):
    """A certificate or request with another subject, the place-th part of what is signed, signed anew by a key file."""
    to_sign, algorithm, _ = elements(inside(content))
    parts = elements(inside(to_sign))
    parts[place] = distinguished_name(value)
    alternative = b"harmless.example.com"  # the DNS name in it keeps its length
    to_sign = der(0x30, b"".join(parts).replace(alternative, (value + b"." * 20)[:20]))
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=to_sign, cwd=work, check=True, capture_output=True)
    return der(0x30, to_sign + algorithm + der(3, b"\0" + signed.stdout))


def make_templates(world):
    """A key "named" with its certificate, and a request of a key in a file, both with a DNS name to be replaced."""
    script = """set -e; exec 2>&1
    hsmith key generate named --type ec:p256 >/dev/null
    hsmith request new named --cn harmless --san dns:harmless.example.com -o named.csr >/dev/null
    openssl x509 -req -in named.csr -CA ca.pem -CAkey ca.key -set_serial 20 -days 30 -copy_extensions copy -outform der -out named.der
    openssl req -config /dev/null -new -key ca.key -subj /CN=harmless -addext subjectAltName=DNS:harmless.example.com -outform der -out soft.csr
    """
    world.must(["sh", "-c", script])


def rename_objects(world, identifier, value):
    """Puts the label on every object with this id; in a child, because a module keeps what it has read."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ["SOFTHSM2_CONF"] = world.environment["SOFTHSM2_CONF"]
            module = cryptoki.Module(SOFTHSM, "")
            session = module.open(next(slot for slot, label, _ in module.tokens() if label == "sandbox"))
            module.login(session, (world.folder / "pin").read_text().strip())
            mine = [handle for handle in module.objects(session)
                    if (module.attribute(session, handle, cryptoki.CKA_ID) or b"").hex() == identifier]
            for handle in mine:
                module.set_attribute(session, handle, cryptoki.CKA_LABEL, value)
            status = 0 if len(mine) == 3 else 1
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the label could not be set")


def prepare(world, value):
    """The name in files and on the token. Gives the id of the key that has it."""
    work = world.work
    (work / "c.der").write_bytes(with_subject((work / "named.der").read_bytes(), 5, value, "ca.key", work))
    (work / "r.der").write_bytes(with_subject((work / "soft.csr").read_bytes(), 1, value, "ca.key", work))
    world.must(["hsmith", "cert", "install", "./c.der", "-q"])
    identifier = json.loads(subprocess.run(["hsmith", "key", "show", "named", "--json"], cwd=work, env=world.environment, check=True,
                                           capture_output=True).stdout)["data"]["id"]
    rename_objects(world, identifier, value)
    return identifier


def words_of(command, identifier, value):
    name = os.fsdecode(value.replace(b"\0", b"?")[:60000])
    return [word.replace("{id}", identifier).replace("{name}", name) for word in command.split(" ")]


def try_command(world, command, identifier, value, lines):
    """What is wrong. `lines` are those that the command prints for a harmless name."""
    problems = []
    for text in (True, False):
        words = words_of(command, identifier, value)
        ended = world.run(words if text else ["--json", *words])
        made = world.work / "made"
        made.unlink(missing_ok=True)
        found = common_problems(ended, text)
        # What a name is criticised for, and how long a certificate is, depends on the name.
        same = lines is None or ended.status not in (0, 3) or ended.out.count("\n") == lines or command.startswith(LONGER)
        if text and not same:
            found.append(f"{ended.out.count(chr(10))} lines instead of {lines}: {ended.out[:400]!r}")
        problems += [f"{'text' if text else 'JSON'}: status {ended.status}: {one}: {ended.err[:300]!r}" for one in found]
        if text:
            printed = ended.out.count("\n") if ended.status in (0, 3) else None
    return problems, printed


def main():
    binary = Path(os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith")).resolve()
    wanted = sys.argv[1:]
    runs = failed = 0
    with tempfile.TemporaryDirectory(prefix="hsmith-names.") as folder:
        world = World(Path(folder) / "world", binary)
        world.make()
        world.restore()
        make_templates(world)
        template = world.copy(Path(folder) / "template")
        lines = {}
        for number, (title, value) in enumerate([("a harmless name", HARMLESS), *NAMES.items()]):
            if wanted and number and title not in wanted:
                continue
            world = World(Path(folder) / f"world-{number}", binary)
            world = template.copy(world.folder)
            identifier = prepare(world, value)
            for command in COMMANDS:
                problems, printed = try_command(world, command, identifier, value, lines.get(command))
                if not number:
                    lines[command] = printed
                runs, failed = runs + 1, failed + bool(problems)
                for problem in problems:
                    print(f"FAILED: {title}: {command}: {problem}", flush=True)
    print(f"{runs - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
