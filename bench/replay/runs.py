# SPDX-License-Identifier: BSD-3-Clause
"""Replays of the captures in this process, our stack and its peer in turns."""

import pathlib
import statistics
import subprocess

CAPTURES = pathlib.Path(__file__).resolve().parent.parent / "captures"
TEXT = ("stack", "digest")


def pairs(line):
    return {key: value if key in TEXT else float(value)
            for key, value in (word.split("=", 1) for word in line.split())}


def median_row(runs):
    """The median of each number."""
    return {key: statistics.median(one[key] for one in runs) for key in runs[0] if key not in TEXT}


def replay(program, capture, *more):
    done = subprocess.run([str(program), str(capture), *map(str, more)], check=False, capture_output=True, text=True,
                          timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{program.name} {capture.name}: {done.stderr.strip() or done.returncode}")
    return pairs(done.stdout)


def run(build, quick, progress):
    """Rows for the report, and what failed."""
    programs = [build / "bench" / "replay" / name for name in ("replay", "replay-lwip")]
    programs = [program for program in programs if program.exists()]
    rounds = 2 if quick else 7
    rows, failed = [], []
    for capture in sorted(CAPTURES.glob("*.pcap")):
        for copies in (1, 100):
            got = {program: [] for program in programs}
            for number in range(rounds):
                for program in programs:
                    progress(f"replay of {capture.stem}, {copies} at once, {program.name}, {number + 1} of {rounds}")
                    try:
                        got[program].append(replay(program, capture, "--copies", copies, "--total", max(400, copies)))
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        failed.append(str(error))
            for program, runs in got.items():
                if not runs:
                    continue
                row = {"capture": capture.stem, "stack": runs[0]["stack"], **median_row(runs)}
                digests = {one["digest"] for one in runs}
                row["digest"] = runs[0]["digest"] if len(digests) == 1 else "differs"
                if row["stack"] == "cloister" and len(digests) > 1:
                    failed.append(f"{capture.stem}: the digest differs from run to run")
                rows.append(row)
    return rows, failed
