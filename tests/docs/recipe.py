#!/usr/bin/env python3
"""recipe.py RECIPE: runs the shell steps of a recipe in docs/ci/, as its CI would, on the project of docs/guide-ci.md.

The project's test is the one that the guide writes. Packages are not installed: `apt-get` only looks that each is one of
ci/packages.txt or a file that is there. Under tests/support/with_softhsm, whose token is the releases'. Exit 1 on a failure, 77 without
Python's yaml.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # sources stay as they are checked out

import walkthrough

try:
    import yaml
except ImportError:
    print("not installed: python3-yaml")
    sys.exit(77)

DOCS = walkthrough.ROOT / "docs"
SECONDS = 120
APT_GET = """#!/bin/bash
for argument; do
  case $argument in
    update | install | -*) ;;
    ./*) [ -e "$argument" ] || { echo "apt-get: there is no $argument"; exit 100; } ;;
    *) grep -qx "$argument" {packages} || { echo "apt-get: $argument is not in ci/packages.txt"; exit 100; } ;;
  esac
done
"""


class Failed(Exception):
    """A step that ended otherwise than its CI wants."""


# Which contexts GitHub fills in at each level; elsewhere an expression is an error of the workflow.
OF_WORKFLOW = ("github", "secrets", "inputs", "vars")
OF_JOB = (*OF_WORKFLOW, "needs", "strategy", "matrix")
OF_STEP = (*OF_JOB, "job", "runner", "env", "steps")


def github_jobs(recipe, variables):
    """Of each job: its name, its steps' scripts, and the environment of each."""
    def environment(place, contexts):
        def value_of(found):
            if found[1].partition(".")[0] not in contexts:
                raise Failed(f"{found[0]}: there is no such context at this level, only {', '.join(contexts)}")
            return variables[found[1]]
        return {name: re.sub(r"\$\{\{ *([\w.]+) *\}\}", value_of, value) for name, value in place.get("env", {}).items()}
    for name, job in recipe["jobs"].items():
        of_runner = {"RUNNER_TEMP": variables["runner.temp"], "GITHUB_ENV": f"{variables['runner.temp']}/env-of-{name}"}
        of_job = of_runner | environment(recipe, OF_WORKFLOW) | environment(job, OF_JOB)
        yield name, [(step["run"], of_job | environment(step, OF_STEP)) for step in job["steps"] if "run" in step]


def exported(environment):
    """What a job's steps so far have written into the file GITHUB_ENV, for the ones that follow."""
    path = Path(environment.get("GITHUB_ENV", "/dev/null"))
    return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}


def gitlab_jobs(recipe, variables):
    """As github_jobs. A job's lines run in one shell; the project's variables are in its environment."""
    of_project = {"HSMITH_MODULE": variables["vars.HSMITH_MODULE"], "HSMITH_PIN": variables["secrets.TOKEN_PIN"]}
    folder = {"CI_PROJECT_DIR": variables["folder"]}
    for name, job in recipe.items():
        if "script" not in job:
            continue
        own = {key: re.sub(r"\$(\w+)", lambda found: folder[found[1]], value) for key, value in job.get("variables", {}).items()}
        yield name, [("\n".join(job.get("before_script", []) + job["script"]), of_project | folder | own)]


def make_project(work, environment):
    """The guide's test-signing and release, the package's place, and on the token the key that releases are signed with."""
    wanted = ("cat > test-signing", "chmod", "echo \"version")
    steps = [step.command for step in walkthrough.parse(DOCS / "guide-ci.md") if step.command.startswith(wanted)]
    (work / "vendor").mkdir()
    (work / "vendor/hsmith_0_amd64.deb").touch()
    commands = steps + ["hsmith token init --label releases --slot 0", "export HSMITH_TOKEN=releases",
                        "hsmith ca init lab --key-type ec:p256 --subject CN=Lab --days 30 -o ca.crt",
                        "hsmith request new release --key-type ec:p256 --profile codesign --cn Releases --o Example --c HK -o release.csr",
                        "hsmith ca issue release.csr --ca lab --profile codesign -o release.crt"]
    run("\n".join(commands), work, environment)


def run(script, work, environment):
    ended = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    if ended.returncode:
        raise Failed(f"status {ended.returncode} of\n{script}\n--- it prints\n{ended.stdout}---")


def try_recipe(path, jobs_of, private):
    """Every step of every job, in their order."""
    work, tools = private / "work", private / "tools"
    for folder in (work, tools):
        folder.mkdir()
    (tools / "apt-get").write_text(APT_GET.replace("{packages}", str(walkthrough.ROOT / "ci/packages.txt")))
    (tools / "apt-get").chmod(0o755)
    whole = walkthrough.environment(private)
    bare = {name: value for name, value in whole.items() if not name.startswith("HSMITH_")}
    variables = {"vars.HSMITH_MODULE": whole["HSMITH_MODULE"], "secrets.TOKEN_PIN": whole["HSMITH_PIN"],
                 "runner.temp": str(private), "folder": str(work)}
    jobs = list(jobs_of(yaml.safe_load(path.read_text()), variables))
    make_project(work, {name: value for name, value in whole.items() if name != "HSMITH_TOKEN"})
    done = 0
    for _, steps in jobs:
        for name in ("release.tar.gz.sig", "release.pub"):  # each job has a checkout of its own
            (work / name).unlink(missing_ok=True)
        for script, environment in steps:
            run(script, work, bare | {"PATH": f"{tools}:{bare['PATH']}"} | exported(environment) | environment)
            done += 1
    if not (work / "release.tar.gz.sig").exists():
        raise Failed("no release was signed")
    return done


RECIPES = {"github-actions.yml": github_jobs, "gitlab-ci.yml": gitlab_jobs}


def main():
    path = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="hsmith-recipe.") as private:
        try:
            done = try_recipe(path, RECIPES[path.name], Path(private))
        except (Failed, subprocess.TimeoutExpired) as failure:
            print(f"{path}: {failure}")
            return 1
    print(f"{path}: {done} steps do what they should")
    return 0


sys.exit(main())
