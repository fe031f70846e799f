#!/usr/bin/env python3
"""Lets every call of a command fail, or be the last one, and looks at what is left (docs/sweeps.md)."""
import argparse
import concurrent.futures
import os
import shutil
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True  # sources stay as they are checked out

import sweep_checks
from sweep_answers import lies
from sweep_flows import all_flows
from sweep_world import CHANGING, SOFTHSM, SOFTOKN, World

ROOT = Path(__file__).resolve().parent.parent.parent
CODES = ("CKR_DEVICE_REMOVED", "CKR_GENERAL_ERROR", "CKR_DEVICE_MEMORY", "CKR_SESSION_HANDLE_INVALID")
KINDS = ("errors", "answers", "kills", "system", "storage")
NO_SUCH_BYTE = 99  # the fault module ends a process whose answer cannot be falsified so
MOST_CALLS = 2000
SKIPPED = 77


@dataclass
class Job:
    """A command on a kind of token, with what is to be tried of it."""
    flow_name: str
    kind: str
    options: argparse.Namespace


@dataclass
class Result:
    title: str
    runs: int = 0
    lost_by_token: int = 0
    left_half: int = 0
    failures: list = field(default_factory=list)
    skipped: list = field(default_factory=list)


class Sweep:
    """The points of one job, each run on the restored snapshot."""

    def __init__(self, job, world, flow, result):
        self.job, self.world, self.flow, self.result = job, world, flow, result
        self.stride, self.only = job.options.stride, job.options.point

    def wanted(self, point):
        return self.only is None or self.only == point

    def judge(self, point, ended, verdict, inside_module=False):
        """`inside_module`: the module was at work on its own files, which it may lose."""
        self.result.runs += 1
        self.result.lost_by_token += verdict.lost_by_token
        self.result.left_half += verdict.left_half
        if verdict.about_state and inside_module and verdict.reported:
            self.result.lost_by_token += 1  # of what it rewrote in place only a part was there; hsmith said that it was at it
        else:
            verdict.problems += verdict.about_state
        if verdict.left_half and not inside_module:
            verdict.problems.append(f"half an object is left, although the module was not at work: {self.world.halves}")
        if self.only or self.job.options.verbose:
            print(f"--- {self.result.title}: {point}: status {ended.status}\n{ended.out}{ended.err}", flush=True)
        if verdict.problems:
            self.result.failures.append("\n    ".join([f"{self.result.title}: {point}: status {ended.status}",
                                                     *verdict.problems, *ended.err.splitlines()]))

    def every_call(self, rule, check):
        """Rule with {n} = 1, 2, ... until the command ends without having met it."""
        for n in range(1 + self.job.options.offset % self.stride, MOST_CALLS, self.stride):
            point = rule.format(n=n)
            if not self.wanted(point):
                continue
            self.world.restore()
            ended, acted = self.run_with(point)
            if not acted:
                return self.whole_run(rule, ended)
            self.judge(f"{point} [{acted[0].split()[1]}]", ended, check(ended, acted))

    def run_with(self, rule):
        ended, acted = self.world.hsmith_with_fault(self.flow.arguments(self.world), self.flow.rules + rule)
        swept = f" rule={1 + self.flow.rules.count(';')} "
        return ended, [line for line in acted if swept in line + " "]

    def whole_run(self, rule, ended):
        if ended.status != 0 or self.flow.state(self.world) != "done":
            self.judge(rule, ended, sweep_checks.Verdict(
                [f"without a fault: status {ended.status}, {self.flow.state(self.world)}"]))

    def errors(self):
        for code in CODES[:self.job.options.codes]:
            def check(ended, acted, code=code):
                return sweep_checks.check_error(self.world, self.flow, ended, acted, code)
            rules = [f"fail any {{n}} {code}", f"fail-after any {{n}} {code}", f"fail any from {{n}} {code}"]
            for rule in rules[:1] if self.job.options.short else rules:
                self.every_call(rule, check)
        if not self.job.options.short and self.job.kind == "softhsm":
            # All that comes after fails as well: twice the call makes check_error expect that.
            self.every_call("close-sessions any {n}", lambda ended, acted: sweep_checks.check_error(
                self.world, self.flow, ended, acted * 2, "CKR_"))

    def answers(self):
        """Each answer of the module is wrong in turn."""
        self.world.restore()
        self.run_with("delay C_Initialize 1 0ms")
        log = self.world.log.read_text().splitlines() if self.world.log.exists() else []  # some commands need no token
        for rule in list(lies(log))[self.job.options.offset::self.stride]:
            if not self.wanted(rule):
                continue
            self.world.restore()
            ended, acted = self.run_with(rule)
            if acted and ended.status != NO_SUCH_BYTE:
                self.judge(rule, ended, sweep_checks.check_lied_to(self.world, self.flow, ended, rule))

    def kills(self):
        for rule in ("kill before any {n}", "kill after any {n}"):
            self.every_call(rule, lambda ended, acted: sweep_checks.check_killed(self.world, self.flow, ended))

    def traced_calls(self):
        self.world.restore()
        ended, calls = self.world.hsmith_traced(self.flow.arguments(self.world))
        if ended.status != 0 or not calls:
            raise RuntimeError(f"strace: {ended}")
        return [call for call in calls if call.name in CHANGING or "O_CREAT" in call.text or "O_TMPFILE" in call.text]

    def system(self):
        calls = [call for call in self.traced_calls() if call.name in CHANGING]
        # The token's module makes many small writes alike; the short share leaves them to the full one.
        if self.job.options.short:
            calls = [call for call in calls if not self.world.is_modules_own(call)]
        for call in calls[::self.stride]:
            inject = f"{call.name}:signal=KILL:when={call.count}"
            if not self.wanted(inject):
                continue
            self.world.restore()
            ended, seen = self.world.hsmith_traced(self.flow.arguments(self.world), inject)
            verdict = sweep_checks.check_killed(self.world, self.flow, ended)
            inside = bool(seen) and self.world.is_modules_own(seen[-1])
            if verdict.lost_by_token and not inside:
                verdict.problems.append("the token is damaged, although its module was not at work")
            self.judge(f"{inject} [{call.text[:150]}]", ended, verdict, inside)

    def storage(self):
        own = [call for call in self.traced_calls() if not self.world.is_modules_own(call)]
        for call in own[::self.stride]:
            for error, cause in (("ENOSPC", "No space left"), ("EIO", "Input/output error")):
                inject = f"{call.name}:error={error}:when={call.count}"
                if not self.wanted(inject):
                    continue
                self.world.restore()
                ended, _ = self.world.hsmith_traced(self.flow.arguments(self.world), inject)
                self.judge(f"{inject} [{call.text[:150]}]", ended,
                           sweep_checks.check_storage(self.world, self.flow, ended, cause))


def run_job(job):
    result = Result(f"{job.flow_name} on {job.kind}")
    folder = tempfile.mkdtemp(prefix="hsmith-sweep.")
    try:
        flow = next(flow for flow in all_flows() if flow.name == job.flow_name)
        world = World(folder, job.kind, job.options.hsmith, job.options.fault_module)
        flow.prepare(world)
        world.save()
        sweep = Sweep(job, world, flow, result)
        for kind in job.options.kinds:
            if kind in ("system", "storage") and not world.can_trace():
                result.skipped.append(kind)
            else:
                getattr(sweep, kind)()
    except Exception:  # one command's failure must not hide the others
        result.failures.append(f"{result.title}: the sweep itself failed:\n{traceback.format_exc()}")
    finally:
        if not job.options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept: {folder}")
    return result


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flow", action="append", metavar="NAME", help="only this command; may be repeated")
    parser.add_argument("--token", choices=("softhsm", "nss"), help="only on this kind of token")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--short", action="store_true", help="fewer kinds of points")
    parser.add_argument("--codes", type=int, default=len(CODES), help="how many of the return codes")
    parser.add_argument("--stride", type=int, default=1, help="only each N-th call")
    parser.add_argument("--offset", type=int, default=0, help="with --stride: begin at another call")
    parser.add_argument("--point", help="only this one, as a failure names it")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what each run printed")
    parser.add_argument("--hsmith", type=Path, default=os.environ.get("HSMITH_BINARY", ROOT / "build/release/hsmith"))
    parser.add_argument("--fault-module", type=Path, default=os.environ.get(
        "HSMITH_FAULT_MODULE", ROOT / "build/release/tests/hsmith_fault_module.so"))
    options = parser.parse_args()
    options.kinds = [kind for kind in KINDS if kind in options.kinds.split(",")]
    options.hsmith, options.fault_module = Path(options.hsmith).resolve(), Path(options.fault_module).resolve()
    return options


def jobs_of(options):
    tokens = [kind for kind, module in (("softhsm", SOFTHSM), ("nss", SOFTOKN)) if Path(module).is_file()]
    return [Job(flow.name, kind, options) for flow in all_flows() for kind in tokens
            if kind in flow.tokens and options.token in (None, kind) and (not options.flow or flow.name in options.flow)]


def main():
    options = parse_options()
    jobs = jobs_of(options)
    if options.list:
        print("\n".join(f"{job.flow_name} on {job.kind}" for job in jobs))
        return 0
    results = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for result in pool.map(run_job, jobs):
            results.append(result)
            print(f"{result.title}: {result.runs} runs, {len(result.failures)} failed"
                  + (f", {result.lost_by_token} times the token lost its own files" if result.lost_by_token else "")
                  + (f", {result.left_half} times it left half an object" if result.left_half else ""),
                  flush=True)
            for kind in result.skipped:
                print(f"skipped: {kind} of {result.title}: strace may not look into hsmith here")
            for failure in result.failures:
                print(f"FAILED: {failure}", flush=True)
    failed = sum(len(result.failures) for result in results)
    passed = sum(result.runs for result in results) - failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
