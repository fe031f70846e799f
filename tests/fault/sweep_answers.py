"""Which lies a module can tell in one run of a command: made from the fault module's log of a run without a fault."""
import re
from collections import Counter

LENGTHS = ("=0", "-1", "+1", "huge", "unavailable")
UNSIZED = ("C_GenerateRandom",)  # it fills what it is given
NO_LISTS = ("C_FindObjects", "C_GetSlotList", "C_GetMechanismList")  # no bytes to flip: a handle is no answer


def main_process(log):
    """The log's lines of the process that made most of the calls, the command itself; each process counts its own calls."""
    processes = Counter(re.search(r" pid=(\d+)", line)[1] for line in log if " pid=" in line)
    return [line for line in log if f" pid={processes.most_common(1)[0][0]}" in line] if processes else []


def lies(log):
    """The rules, one for each run."""
    lines = [line.split() for line in main_process(log)]
    yield from (f"ok-without-writing any {words[0]}" for words in lines if words[1] != "C_GetFunctionList")
    answers, queries, readings = Counter(), Counter(), Counter()
    for words in lines:
        facts = dict(word.split("=", 1) for word in words[3:] if "=" in word)
        if "out" in facts and words[1] != "C_GetAttributeValue":
            answers[words[1]] += 1
            yield from wrong_answers(words[1], answers[words[1]], int(facts["out"]))
        elif "size" in facts and words[1] != "C_GetAttributeValue":
            queries[words[1]] += 1
            yield from (f"size-query {words[1]} {queries[words[1]]} {length}" for length in LENGTHS)
        for attribute in facts.get("attributes", "").split(",") if words[1] == "C_GetAttributeValue" else ():
            readings[attribute] += 1
            yield from (f"attribute {attribute} {readings[attribute]} length {length}" for length in LENGTHS)
            yield f"attribute {attribute} {readings[attribute]} flip byte 0"
            yield f"hide-attribute {attribute} {readings[attribute]}"
    yield from about_the_token(lines)


def wrong_answers(function, number, size):
    if size > 0 and function not in NO_LISTS:
        yield from (f"flip {function} {number} byte {byte}" for byte in (0, -1))
        yield f"fill {function} {number} 0"
    if function not in UNSIZED:
        yield from (f"length {function} {number} {length}" for length in LENGTHS)
    if number > 1:
        yield f"repeat {function} {number}"


def about_the_token(lines):
    for number in range(1, 1 + sum(words[1] == "C_GetTokenInfo" for words in lines)):
        yield from (f'token-serial from {number} = "0002"', f'token-label from {number} = "another"')
        yield f"token-flag set CKF_WRITE_PROTECTED from {number}"
    for number in range(1, 1 + sum(words[1] == "C_GetSlotList" for words in lines)):
        yield f"hide-slot all from {number}"
    yield from sorted({f"hide-mechanism {word.partition('=')[2]}" for words in lines for word in words if word.startswith("mechanism=")})
    yield from (f"max-sessions {most}" for most in (0, 1))
