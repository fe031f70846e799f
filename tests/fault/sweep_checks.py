"""What must hold after a command failed, was killed, or found the disk full."""
import json
from dataclasses import dataclass, field

from sweep_flows import strange_files, strange_requests

TOKEN_FAILED, MODULE_LOAD, STORAGE = 9, 11, 12


@dataclass
class Verdict:
    """What is wrong; `lost_by_token`: the token's own module cannot read its files any more; `left_half`: it left an
    object without name and value."""
    problems: list = field(default_factory=list)
    lost_by_token: bool = False
    left_half: bool = False
    about_state: list = field(default_factory=list)  # wrong as well, unless the module was killed while it rewrote the object
    reported: bool = False  # doctor named the operation that was interrupted


def told(doctor):
    """What a doctor complains of, in one line."""
    lines = [line for line in (doctor.out + doctor.err).splitlines() if not line.startswith("ok ")]
    return " / ".join(lines)


def journal_problems(doctor):
    """What doctor says of interrupted operations, or None when it did not end as it should."""
    try:
        checks = json.loads(doctor.out)["data"]["checks"]
    except (ValueError, KeyError):
        return None
    if any(check["name"] == "audit log" and check["state"] != "ok" for check in checks):
        return None
    return [check["text"] for check in checks if check["name"] == "journal" and check["state"] == "problem"]


def settle(world, flow, verdict):
    """One repair must be enough, and a second one change nothing. The state afterwards."""
    repaired = world.hsmith(["doctor", "--repair", "--yes"])
    state = flow.state(world)
    # That a token has no user PIN stays a finding until the security officer sets it.
    if repaired.status != (3 if state == "the token without its user PIN" else 0):
        verdict.problems.append(f"doctor --repair ends with {repaired.status}: {told(repaired)}")
    if state not in ("before", "done", *flow.settled):
        verdict.about_state.append(f"after doctor --repair: {state}: {told(repaired)}")
    files, seen = world.files(), world.look()
    second = world.hsmith(["doctor", "--repair", "--yes"])
    if second.status != repaired.status:
        verdict.problems.append(f"a second doctor --repair ends with {second.status}: {told(second)}")
    if (files, seen) != (world.files(), world.look()):
        verdict.problems.append(f"a second doctor --repair changed something: {told(second)}")
    return state


def run_again(world, flow, state, verdict):
    again = world.hsmith(flow.arguments(world))
    if again.status not in flow.again.get(state, {0}):
        verdict.about_state.append(f"run again after \"{state}\": status {again.status}: {again.err}")
    after = flow.state(world)
    if state == "the token without its user PIN":
        unblocked = world.hsmith(["token", "pin", "unblock", "--token", "fresh", "--yes", "--new-pin-source", "env:HSMITH_PIN"])
        if unblocked.status != 0:
            verdict.about_state.append(f"no user PIN can be set: {unblocked.err}")
            return
        state, after = "done", flow.state(world)
    expected = "done" if state == "before" or state in flow.finished_again else state
    if after != expected and again.status == 0 or after not in (expected, state):
        verdict.about_state.append(f"run again: {after} instead of {expected}: {again.err}")


def check_aftermath(world, flow, ended, verdict, may_be_overcautious):
    """Nothing unreported is left, one repair is enough, and the same command then works."""
    state = flow.state(world)
    doctor = world.hsmith(["doctor", "--json"])
    interrupted = journal_problems(doctor)
    if interrupted is None or doctor.status not in (0, 3):
        verdict.problems.append(f"doctor ends with {doctor.status}: {told(doctor)}")
        return
    if state.startswith("damaged"):
        verdict.lost_by_token = True
        return
    verdict.reported = bool(interrupted)
    if world.leaks(ended):
        verdict.problems.append("a PIN was printed or written")
    acknowledged = ended.status == 0 or (ended.out.strip() and not flow.is_repair)
    if acknowledged and state != "done":
        verdict.problems.append(f"acknowledged ({ended.out.strip()}), but: {state}")
    if not interrupted:
        says_done = ended.status < 0 or any("it is done, but" in line for line in ended.message())
        clean = ("before", "done") if says_done or flow.is_repair else ("before",)
        if state not in clean and not acknowledged:
            verdict.problems.append(f"not reported by doctor: {state}")
    elif state == "before" and not may_be_overcautious:
        verdict.problems.append(f"reported although nothing is left: {interrupted}")
    if interrupted:
        state = settle(world, flow, verdict)
    if strange := strange_files(world) + strange_requests(world):
        verdict.problems.append(f"left on disk: {', '.join(strange)}")
    run_again(world, flow, state, verdict)
    check_halves(world, verdict)


def check_halves(world, verdict):
    """What the module left half written is no key of anybody's; hsmith lists it and removes nothing."""
    verdict.left_half = bool(world.halves)
    if verdict.left_half:
        listed, doctor = world.hsmith(["key", "list", "--json"]), world.hsmith(["doctor"])
        nameless = any(not key.get("label") and not key.get("id") for key in json.loads(listed.out)["data"]["keys"])
        public = any(one["class"] in ("public", "certificate") for one in world.halves)  # seen without a login
        if not nameless and "cannot be read" not in listed.err or public and "incomplete" not in doctor.out:
            verdict.problems.append(f"not reported: {world.halves}: {listed.err}{told(doctor)}")


# What SQLite says where a call of its own failed; it does not always keep the system's reason.
SQLITE_WORDS = ("disk I/O error", "unable to open database file", "database or disk is full",
                "attempt to write a readonly database")  # its log cannot be made


def check_message(nouns, ended, cause, statuses, verdict):
    """One line that names what was tried, on which object, and why; and a remedy."""
    message = ended.message()
    if ended.status not in statuses:
        verdict.problems.append(f"status {ended.status} instead of {' or '.join(map(str, sorted(statuses)))}")
    if len(message) != 1:
        verdict.problems.append(f"{len(message)} lines of error instead of one")
        return
    if not any(words in message[0] for words in (cause, *SQLITE_WORDS)):
        verdict.problems.append(f"the message does not name {cause}")
    if not any(noun in message[0] for noun in nouns):
        verdict.problems.append("the message does not name the object")


def check_error(world, flow, ended, acted, code):
    """After a PKCS#11 call failed with `code`; `acted` are the log's lines of such calls."""
    verdict = Verdict()
    if ended.status != 0 and not flow.is_repair:
        starts = [any(f" {name} " in line for name in ("C_GetFunctionList", "C_Initialize")) for line in acted]
        statuses = {MODULE_LOAD} if starts[0] else {TOKEN_FAILED}
        if any(starts):  # the module was started anew to try once more, and that failed as well
            statuses.add(MODULE_LOAD)
        check_message(flow.nouns, ended, code, statuses, verdict)
        if not ended.hint():
            verdict.problems.append("no remedy is named")
    if flow.is_repair and ended.status not in (0, 3):
        verdict.problems.append(f"status {ended.status}: {ended.err}")
    check_aftermath(world, flow, ended, verdict, len(acted) > 1 or flow.is_repair or flow.cannot_know)
    return verdict


# What a command may end with when it is lied to; never by a signal, as an internal error, or as if the user had erred.
LIED_TO = {0, 3, 4, 5, 6, 7, 8, 9, 10, 11}


def check_lied_to(world, flow, ended, rule):
    """After an answer of the module was wrong. What it calls its objects must be believed, for there is nothing to compare with;
    and what is there at all, by a repair, which knows of the objects only what the token says."""
    verdict = Verdict()
    if ended.status not in LIED_TO:
        verdict.problems.append(f"status {ended.status} is none of {sorted(LIED_TO)}")
    if ended.status != 0 and not flow.is_repair and len(ended.message()) != 1:
        verdict.problems.append(f"{len(ended.message())} lines of error instead of one")
    if not flow.is_repair and not any(name in rule for name in flow.believed):
        check_aftermath(world, flow, ended, verdict, True)
    return verdict


def check_killed(world, flow, ended):
    verdict = Verdict()
    if ended.status not in flow.killed:
        verdict.problems.append(f"status {ended.status} instead of death by SIGKILL: {ended.err}")
    check_aftermath(world, flow, ended, verdict, True)
    return verdict


def check_storage(world, flow, ended, cause):
    """After one call on a file of hsmith's failed."""
    verdict = Verdict()
    if ended.status != 0 and not flow.is_repair:
        check_message(('"',), ended, cause, {STORAGE}, verdict)
    check_aftermath(world, flow, ended, verdict, True)
    return verdict
