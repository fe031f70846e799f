"""The goals that bench/compare holds its figures against: times, calls and memory of one program over those of another in
the same run. Where a goal says "so many times faster", the limit is one over it."""
from measure import ratio_of

# (number, job, program, the one it is held against, at most)
TIMES = [
    *[("1", f"sign {kind}", "hsmith", other, most) for kind in ("rsa", "ec")
      for other, most in (("floor", 1.10), ("pkcs11-tool", 0.88), ("openssl engine", 0.92))],
    *[("2", f"network sign {kind}", "hsmith", other, most) for kind in ("rsa", "ec")
      for other, most in (("floor", 1.25), ("pkcs11-tool", 0.87), ("openssl engine", 0.45))],
    *[("3", f"request {kind}", "hsmith", other, most) for kind in ("rsa", "ec")
      for other, most in (("floor", 1.10), ("openssl engine", 0.97))],
    *[("3b", f"network request {kind}", "hsmith", "openssl engine", 0.47) for kind in ("rsa", "ec")],
    ("4", "bulk rsa", "hsmith --jobs 1", "raw loop, 1 thread", 1 / 0.98),
    ("4", "many ec", "hsmith --jobs 1", "raw loop, 1 thread", 1 / 0.96),
    ("5", "bulk rsa", "hsmith --jobs 2", "raw loop, 2 threads", 1 / 0.95),
    ("5", "many ec", "hsmith --jobs 2", "raw loop, 1 thread", 1 / 1.7),
    *[("5b", "sessions", f"hsmith --jobs {n}", "hsmith --jobs 1", 1 / (0.95 * n)) for n in (2, 4, 8, 16)],
    ("6", "bulk rsa", "hsmith --jobs 1", "raw loop, 1 thread", 1.05),
    ("6", "bulk rsa", "hsmith --jobs 2", "raw loop, 1 thread", 0.60),
    ("6", "bulk rsa", "hsmith --jobs 1", "loop of pkcs11-tool", 1 / 9.5),
    ("6", "bulk rsa", "hsmith --jobs 1", "loop of openssl", 1 / 9.5),
    ("6", "bulk ec", "hsmith --jobs 1", "raw loop, 1 thread", 1.20),
    ("6", "bulk ec", "hsmith --jobs 2", "raw loop, 1 thread", 0.90),
    ("6", "bulk ec", "hsmith --jobs 1", "loop of pkcs11-tool", 1 / 70),
    ("6", "bulk ec", "hsmith --jobs 1", "loop of openssl", 1 / 70),
    ("7", "big", "hsmith", "openssl dgst", 1.00),
    ("7", "big", "hsmith", "pkcs11-tool", 0.65),
    *[("8", f"list {pairs}", "hsmith", other, most) for pairs in (1000, 5000)
      for other, most in (("floor", 1.08), ("pkcs11-tool -O", 0.30))],
    ("8c", "network list", "hsmith", "pkcs11-tool -O", 1 / 14),
    ("8c", "network list", "hsmith --sessions 8", "pkcs11-tool -O", 1 / 60),
    ("9", "large sign", "hsmith", "floor", 1.03),
    ("9", "large sign", "hsmith", "pkcs11-tool", 0.97),
    ("9", "large sign", "hsmith", "openssl engine", 0.42),
    ("9b", "large generate", "hsmith --count", "floor", 1.15),
    ("10", "generate", "hsmith --count", "floor", 1.05),
    ("10", "large generate", "hsmith --count", "loop of pkcs11-tool", 1 / 40),
]


def judged(item, what, figure, limit):
    return {"item": item, "what": what, "figure": round(figure, 4), "limit": round(limit, 4), "met": figure <= limit}


def judge_times(jobs):
    for item, key, program, other, limit in TIMES:
        rows = jobs[key]["rows"] if key in jobs else {}
        if "seconds" in rows.get(program, {}) and "seconds" in rows.get(other, {}):
            yield judged(item, f"{jobs[key]['title']}: {program} / {other}",
                         ratio_of(rows[program]["seconds"], rows[other]["seconds"]), limit)


def judge_calls(jobs):
    for key, job in jobs.items():
        rows = job["rows"]
        if key.startswith("sign") and "calls" in rows["hsmith"]:
            yield judged("1c", f"{job['title']}: calls", rows["hsmith"]["calls"], 14)
        if key.startswith("list") and "calls" in rows["hsmith"]:
            # The floor makes N + N / 1,024 + 8 calls for N objects; hsmith may make twelve more.
            yield judged("8b", f"{job['title']}: calls beyond the floor's",
                         rows["hsmith"]["calls"] - rows["floor"]["calls"], 12)


def judge_memory(memory):
    signing = memory["cold signature, ec"]
    yield judged("14", "cold signature, ec: peak of memory, hsmith / floor", signing["hsmith"] / signing["floor"], 1.3)
    few, many = memory["many files, ec"].values()
    yield judged("14", "many files, ec: peak of memory, ten times as many files", many / few, 1.1)
    yield judged("14", "one large file, ec: peak of memory / one signature's",
                 memory["one large file, ec"]["hsmith"] / signing["hsmith"], 1.2)
    title, listing = list(memory.items())[-1]
    objects = 2 * int(title.split()[-2])
    yield judged("14", f"{title}: KiB an object beyond the floor", (listing["hsmith"] - listing["floor"]) / objects, 1)


def judge(results):
    """The goals that there are figures for."""
    goals = [*judge_times(results["jobs"]), *judge_calls(results["jobs"])]
    counts = results.get("instructions", {})
    if counts.get("hsmith"):
        goals.append(judged("1b", "cold signature, ec: instructions, hsmith / floor", counts["hsmith"] / counts["floor"], 1.12))
    if "memory" in results:
        goals += judge_memory(results["memory"])
    return goals
