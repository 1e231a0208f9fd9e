"""Measures what a daemon keeps of a large run's memory: see `run`, which starts this, and README.md, which says what is compared."""

import pathlib
import time

from changes import Daemon
from servers import Slapd, Studio

import measure

FOLDER = measure.FOLDER
RUNS = 2
# How long after a run, in seconds.
LATER = 60
JOB = """
schedule = "@yearly"
"""


def memory(daemon):
    """All that is resident, and what of it is anonymous: no file's (MB)."""
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "RssAnon"))


def resting(options, count, later, table):
    print(f"bench: a daemon that reads {count} people, and what it has {later} s later", flush=True)
    with Slapd(FOLDER, options.studio, count) as slapd, Studio(options.studio, count) as studio:
        path = measure.config(slapd, studio)
        path.write_text(f'control_socket = "{FOLDER}/control.sock"\n' + path.read_text() + JOB)
        with Daemon(options.program, path, slapd) as daemon:
            time.sleep(min(later, 10))
            idle, of_these = memory(daemon)
            table.figure("idle, before any run: resident", idle, "MB")
            table.figure("of which anonymous", of_these, "MB")
            for number in range(RUNS):
                report, _ = daemon.run()
                assert report["counts"]["unchanged"] == count, report["counts"]
                immediately, _ = memory(daemon)
                time.sleep(later)
                resident, anonymous = memory(daemon)
                print(f"  {immediately:.1f} MB, then {resident:.1f} MB, of which {anonymous:.1f} are anonymous", flush=True)
                table.figure(f"{count} people, immediately after run {number + 1}", immediately, "MB")
                table.target(f"{later} s later, beyond idle", resident - idle, "MB", 8)
                table.figure("the same of what is anonymous", anonymous - of_these, "MB")


def main():
    options, table = measure.begin()
    if options.short:
        resting(options, 2_000, 2, table)
    else:
        resting(options, 100_000, LATER, table)
    table.end()


if __name__ == "__main__":
    main()
