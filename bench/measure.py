"""What bench/compare measures with: a token of its own, programs in turn, medians and ratios."""
import hashlib
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

PIN = "1234"
MODULE = next((p for p in map(Path, ("/usr/lib/softhsm/libsofthsm2.so",
                                     "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")) if p.exists()), None)
ENGINE = next(iter(sorted(Path("/usr/lib").glob("*/engines-3/pkcs11.so"))), None)
DELAY_US = 500


class Token:
    """A SoftHSM token in a folder of its own on the memory file system, with the keys `rsa` and `ec`."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        (folder / "engine.cnf").write_text(
            "openssl_conf = o\n[o]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
            f"dynamic_path = {ENGINE}\nMODULE_PATH = {MODULE}\nPIN = {PIN}\ninit = 0\n[req]\ndistinguished_name = dn\n[dn]\n")
        (folder / "network.cnf").write_text(
            (folder / "engine.cnf").read_text().replace(str(MODULE), str(self.delay_module())))
        self.must(["softhsm2-util", "--init-token", "--free", "--label", "bench", "--so-pin", "12345678", "--pin", PIN])
        for name, kind in (("rsa", "rsa:2048"), ("ec", "ec:p256")):
            self.must([self.hsmith(), "key", "generate", name, "--type", kind])
        self.ids = {name: json.loads(self.must([self.hsmith(), "key", "show", name, "--json"]).stdout)["data"]["id"]
                    for name in ("rsa", "ec")}

    def hsmith(self):
        return str(self.build / "hsmith")

    def floor(self, name):
        return str(self.build / "bench" / f"floor_{name}")

    def state(self, name):
        """Where a floor writes what hsmith keeps in its folder of state."""
        folder = self.folder / "floors"
        folder.mkdir(exist_ok=True)
        return folder / name

    def delay_module(self):
        return self.build / "bench" / "delay_module.so"

    def environment(self, network=False, count=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HSMITH_", "PKCS11_", "SOFTHSM2_", "OPENSSL_"))}
        delay = {"HSMITH_DELAY_MODULE": str(MODULE), "HSMITH_DELAY_US": str(DELAY_US if network else 0)}
        if count:
            delay["HSMITH_DELAY_COUNT"] = str(count)
        return kept | delay | {
            "SOFTHSM2_CONF": f"{self.folder}/softhsm2.conf", "HSMITH_TOKEN": "bench", "HSMITH_PIN": PIN,
            "HSMITH_MODULE": str(self.module(network or count)), "HSMITH_STATE": f"{self.folder}/state",
            "XDG_RUNTIME_DIR": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "GNUTLS_PIN": PIN,
            "OPENSSL_CONF": f"{self.folder}/{'network' if network or count else 'engine'}.cnf"}

    def module(self, delayed=False):
        return self.delay_module() if delayed else MODULE

    def must(self, command, **more):
        done = subprocess.run([str(c) for c in command], env=self.environment(), capture_output=True, **more)
        if done.returncode != 0:
            raise SystemExit(f"{command}: {done.stderr.decode()}")
        return done

    def fill(self, pairs, prefix):
        """So many P-256 pairs more."""
        self.must([self.floor("generate"), MODULE, PIN, prefix, "1", pairs])


    def peak(self, program):
        """The peak of a program's resident memory in KiB; None where it fails."""
        taken = self.folder / "peak"
        taken.unlink(missing_ok=True)
        if program.prepare:
            program.prepare()
        done = subprocess.run([str(c) for c in (self.build / "bench/peak", taken, *program.command)], env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True)
        return int(taken.read_text()) if done.returncode == 0 else None


class Program:
    """One way to do a job. `share` is the part of the job that it does: a loop of slow programs does a few of the
    files, and its time is multiplied. `prepare` runs before each turn and is not timed."""

    def __init__(self, command, share=1.0, prepare=None, counted=True):
        self.command, self.share, self.prepare, self.counted = command, share, prepare, counted


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command, env):
    """Seconds, and seconds of the processor."""
    start, used = time.perf_counter(), processor_seconds()
    commands = command if isinstance(command[0], (list, tuple)) else [command]
    for one in commands:
        subprocess.run([str(c) for c in one], env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
    return time.perf_counter() - start, processor_seconds() - used


def ratio_of(times, others):
    """The median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(times, others))


def calls_of(token, make_programs, name):
    count = token.folder / "count"
    count.unlink(missing_ok=True)
    program = make_programs(token.module(True))[name]
    if not program.counted:
        return None
    if program.prepare:
        program.prepare()
    try:
        run(program.command, token.environment(count=count))
    except subprocess.CalledProcessError:
        return None
    return round(struct.unpack("=Q", count.read_bytes())[0] / program.share) if count.exists() else None


def measure(token, make_programs, rounds, network=False, count=True):
    """The programs in turn, `rounds` times. `make_programs(module)` gives {name: Program}; the first is the floor. A row
    holds the median, the medians of the ratios to the floor of time and of processor time, and the seconds of each round."""
    programs = make_programs(token.module(network))
    env = token.environment(network)
    times, failed = {name: [] for name in programs}, {}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            if name in failed:
                continue
            if program.prepare:
                program.prepare()
            try:
                taken = [one / program.share for one in run(program.command, env)]
            except subprocess.CalledProcessError as error:
                failed[name] = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
                continue
            if turn > 0 or rounds == 1:
                times[name].append(taken)
    floor = times[next(iter(programs))][-rounds:]
    rows = {}
    for name in programs:
        if name in failed:
            rows[name] = {"failed": " ".join(failed[name])}
            continue
        taken = times[name][-rounds:]
        seconds, processor = ([one[i] for one in taken] for i in (0, 1))
        rows[name] = {"ms": round(statistics.median(seconds) * 1000, 3),
                      "ratio": round(ratio_of(seconds, [one[0] for one in floor]), 3),
                      "processor": round(ratio_of(processor, [one[1] for one in floor]), 3),
                      "seconds": [round(one, 6) for one in seconds]}
        calls = calls_of(token, make_programs, name) if count else None
        if calls:
            rows[name]["calls"] = calls
    return rows


def instructions(command, env):
    """Of one run, by callgrind; None without valgrind."""
    if shutil.which("valgrind") is None:
        return None
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, command)],
                          env=env, capture_output=True, text=True)
    found = [line for line in done.stderr.splitlines() if "Collected" in line]
    return int(found[-1].split(":")[-1]) if found else None


def memory_folder():
    return Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


def digest_file(folder, data):
    (folder / "digest").write_bytes(hashlib.sha256(data).digest())
    (folder / "digestinfo").write_bytes(bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest())
