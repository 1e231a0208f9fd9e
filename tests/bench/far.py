"""Measures a sync with an ftrack that is far away: see `run`, which starts this, and README.md, which says what is compared."""

import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import types
from urllib.parse import urlsplit

from servers import PASSWORD, PEOPLE, READER, SUFFIX, Slapd, Studio

import measure

HERE = pathlib.Path(__file__).resolve().parent
# Of a round trip to ftrack, in seconds; the first is this machine's own.
ROUND_TRIPS = (0, 0.05, 0.15)
ADMIN = "cn=admin," + SUFFIX
ROUNDS = 3


@contextlib.contextmanager
def far(studio, round_trip):
    """The same ftrack, as if it were so far away."""
    if not round_trip:
        yield studio
        return
    command = [sys.executable, str(HERE / "delay.py"), str(urlsplit(studio.url).port), str(round_trip)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        yield types.SimpleNamespace(url=f"http://127.0.0.1:{proxy.stdout.readline().strip()}")
        proxy.stdin.close()


def sync(options, path):
    """One sync: its seconds and its report."""
    output = measure.FOLDER / "report.json"
    with output.open("wb") as out:
        took, _ = measure.run([options.program, "--config", path, "sync", "--format", "json"], stdout=out, stderr=subprocess.DEVNULL)
    return took, json.loads(output.read_text())


def rename(slapd, number, turn):
    """So many people get another name."""
    found = subprocess.run(
        ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", slapd.url, "-D", READER, "-w", PASSWORD, "-b", PEOPLE]
        + ["-E", "pr=1000/noprompt", "(objectClass=inetOrgPerson)", "1.1"],
        capture_output=True, text=True, check=True,
    )
    dns = [line.removeprefix("dn: ") for line in found.stdout.splitlines() if line.startswith("dn: ")]
    changes = [f"dn: {dn}\nchangetype: modify\nreplace: sn\nsn: Renamed {turn}\n" for dn in dns[:number]]
    subprocess.run(
        ["ldapmodify", "-x", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD],
        input="\n".join(changes), text=True, check=True, stdout=subprocess.DEVNULL,
    )


def report(table, what, seconds, calls, goal):
    """The seconds near and far, and how many round trips explain the difference."""
    near = statistics.median(seconds[0])
    table.figure(f"{what}: near", near, "s")
    for round_trip in ROUND_TRIPS[1:]:
        took = statistics.median(seconds[round_trip])
        table.figure(f"{what}: {round_trip * 1000:.0f} ms away", took, "s")
    table.figure(f"{what}: calls", statistics.median(calls), "")
    longest = ROUND_TRIPS[-1]
    table.target(f"{what}: round trips", (statistics.median(seconds[longest]) - near) / longest, "", goal)


def existing(options, count, table, goals):
    """Everybody is a user already: nothing to do, then changes."""
    print(f"bench: {count} people and their users", flush=True)
    changed = min(1_000, count // 2)
    nothing, some = ({trip: [] for trip in ROUND_TRIPS} for _ in range(2))
    calls, calls_of_some = [], []
    with Slapd(measure.FOLDER, options.studio, count, f'rootdn "{ADMIN}"\nrootpw {PASSWORD}\n') as slapd:
        with Studio(options.studio, count) as studio:
            for round_trip in ROUND_TRIPS:
                with far(studio, round_trip) as reached:
                    path = measure.config(slapd, reached)
                    # What fits the server is known after it.
                    first, _ = sync(options, path)
                    for turn in range(ROUNDS):
                        took, unchanged = sync(options, path)
                        assert unchanged["counts"]["unchanged"] == count, unchanged["counts"]
                        nothing[round_trip].append(took)
                        calls.append(unchanged["ftrack"]["read_calls"])
                        rename(slapd, changed, f"{round_trip} {turn}")
                        took, done = sync(options, path)
                        assert done["counts"]["updated"] == changed, (done["counts"], done["warnings"])
                        some[round_trip].append(took)
                        calls_of_some.append(done["ftrack"]["read_calls"] + done["ftrack"]["write_calls"])
                    print(f"  {round_trip * 1000:.0f} ms: first {first:.2f} s, nothing {nothing[round_trip]}, changes {some[round_trip]}", flush=True)
    report(table, f"{count} people, nothing to do", nothing, calls, goals[0])
    report(table, f"{count} people, {changed} changes", some, calls_of_some, goals[1])


def importing(options, count, table, goal):
    """ftrack is empty."""
    print(f"bench: importing {count} people", flush=True)
    seconds, calls = {trip: [] for trip in ROUND_TRIPS}, []
    with Slapd(measure.FOLDER, options.studio, count) as slapd:
        for round_trip in ROUND_TRIPS:
            for _ in range(ROUNDS):
                with Studio(options.studio, 0) as studio, far(studio, round_trip) as reached:
                    took, done = sync(options, measure.config(slapd, reached))
                    assert done["counts"]["created"] == count, (done["counts"], done["warnings"])
                    seconds[round_trip].append(took)
                    calls.append(done["ftrack"]["read_calls"] + done["ftrack"]["write_calls"])
            print(f"  {round_trip * 1000:.0f} ms: {seconds[round_trip]}", flush=True)
    report(table, f"importing {count}", seconds, calls, goal)


def main():
    options, table = measure.begin()
    if options.short:
        existing(options, 500, table, (8, 10))
        importing(options, 200, table, 20)
    else:
        existing(options, 10_000, table, (8, 10))
        existing(options, 100_000, table, (20, 30))
        importing(options, 2_000, table, 20)
    table.end()


if __name__ == "__main__":
    main()
