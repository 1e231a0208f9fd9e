"""The benchmark: `run` starts this, README.md says what each part compares and what came out."""

import argparse
import signal
import sys
import time
import traceback

import changes
import daemon
import far
import groups
import importing
import instructions
import nothing
import rest
import watch
import whole
from figures import Table, busy_share

# In the order in which they run.
PARTS = {
    "instructions": instructions.measure,
    "nothing": nothing.measure,
    "import": importing.measure,
    "far": far.measure,
    "changes": changes.measure,
    "watch": watch.measure,
    "rest": rest.measure,
    "groups": groups.measure,
    "whole": whole.measure,
    "start": daemon.start,
    "soak": daemon.soak,
    "idle": daemon.idle,
}
SEVERAL = {"sync": ["instructions", "nothing", "import"], "daemon": ["start", "soak", "idle"]}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, *SEVERAL, []])
    parser.add_argument("--program", required=True)
    parser.add_argument("--studio", required=True)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    wanted = [part for name in options.parts for part in SEVERAL.get(name, [name])]
    # What stops it ends its servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    table = Table(judged=not options.short)
    try:
        for part in PARTS:
            if not wanted or part in wanted:
                measured(part, options, table)
    finally:
        table.show()
    sys.exit(1 if table.missed else 0)


def measured(part, options, table):
    """Measures a part; the others are measured whatever becomes of it."""
    began = time.monotonic()
    busy = busy_share()
    if busy > 0.1:
        # A sync and its servers use all cores, and the plain reads one: whatever else runs makes the ratios worse than they are.
        table.figure(f"{part}: the machine is busy with other things, so that seconds are long", busy * 100, "%")
    try:
        PARTS[part](options, table)
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        table.failed(part, what)
    print(f"bench: {part} took {time.monotonic() - began:.0f} s", flush=True)


main()
