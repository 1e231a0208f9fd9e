"""What a daemon keeps of a large run's memory."""

import time

from jobs import configure, job
from living import Daemon
from servers import FOLDER, Slapd, Studio

RUNS = 2
ARTISTS = job(more='schedule = "@yearly"')


def measure(options, table):
    count, later = (2_000, 2) if options.short else (100_000, 60)
    print(f"bench: a daemon that reads {count:,} people, and what it has {later} s later", flush=True)
    with Slapd(options.studio, count) as slapd, Studio(options.studio, "serve", count) as studio:
        with Daemon(options.program, configure(slapd.url, studio.url, ARTISTS), FOLDER) as daemon:
            daemon.settle()
            idle, of_these, _ = daemon.memory()
            table.figure(f"a daemon of {count:,} people, before any run: resident", idle, "MB")
            table.figure("  of which anonymous", of_these, "MB")
            for number in range(1, RUNS + 1):
                report = daemon.run()
                assert report["counts"]["unchanged"] == count, report["counts"]
                immediately, _, _ = daemon.memory()
                time.sleep(later)
                resident, anonymous, _ = daemon.memory()
                print(f"  {immediately:.1f} MB, then {resident:.1f} MB, of which {anonymous:.1f} are anonymous", flush=True)
                table.figure(f"  immediately after run {number}", immediately, "MB")
                table.most(f"  {later} s later, beyond before", resident - idle, "MB", 8)
                table.figure("  the same of what is anonymous", anonymous - of_these, "MB")
