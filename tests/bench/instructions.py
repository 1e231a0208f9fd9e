"""How many instructions a person takes in a sync that finds nothing to do: counted by valgrind, since not every machine can count its own."""

import re

from jobs import configure, sync
from processes import LIMIT, run
from servers import FOLDER, Slapd, Studio

# The slope between two sizes is a person's, without what each sync takes.
SIZES = 3_000, 9_000
GOAL = 25_000


def measure(options, table):
    sizes = (500, 1_500) if options.short else SIZES
    counted = [instructions(options, count) for count in sizes]
    (few, many), (of_few, of_many) = sizes, counted
    table.figure(f"instructions of a sync of {many:,} people, nothing to do (callgrind)", of_many / 1e6, "million")
    table.most(f"  of each person from {few:,} to {many:,}", (of_many - of_few) / (many - few), "", GOAL)


def instructions(options, count):
    print(f"bench: counting the instructions of a sync of {count:,} people", flush=True)
    log = FOLDER / "valgrind.log"
    with Slapd(options.studio, count) as slapd, Studio(options.studio, "recorded", count) as studio:
        config = configure(slapd.url, studio.url)
        for _ in range(3):
            sync(options.program, config, unchanged=count)
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
        run([*valgrind, options.program, "--config", config, "sync"], limit=LIMIT)
    [collected] = re.findall(r"Collected : (\d+)", log.read_text())
    print(f"  {int(collected) / 1e6:.0f} million", flush=True)
    return int(collected)
