"""An import into an empty ftrack, beside a script in Python that does the same."""

import sys

import reads
from figures import middle
from jobs import configure, sync
from processes import HERE, run
from servers import Slapd, Studio


def measure(options, table):
    count = 1_000 if options.short else 20_000
    print(f"bench: importing {count:,} people", flush=True)
    syncs, scripts, first = [], [], None
    with Slapd(options.studio, count) as slapd:
        for is_sync in (True, False) if options.short else (True, False, True, False, True):
            with Studio(options.studio, "serve", 0) as studio:
                if is_sync:
                    usage, _ = sync(options.program, configure(slapd.url, studio.url), created=count)
                else:
                    usage = run([sys.executable, HERE / "plain_import.py", slapd.url, studio.url])
                (syncs if is_sync else scripts).append(usage)
                name = "sync" if is_sync else "script"
                print(f"  {name} {usage.seconds:.2f} s, processor {usage.processor:.2f} s, {usage.memory:.0f} MB", flush=True)
                found = reads.users(studio.url)
                first = first or found
                assert len(found) == count + 2, len(found)
                assert found == first, "the script and the program made different users"
    whole, script = middle(syncs), middle(scripts)
    table.figure(f"importing {count:,}: script in Python", script.seconds, "s")
    table.figure("  its processor time", script.processor, "s")
    table.figure("  sync", whole.seconds, "s")
    table.figure("  its processor time", whole.processor, "s")
    table.most("  sync / script", whole.seconds / script.seconds, "", 0.04)
    table.most("  processor time of sync / of script", whole.processor / script.processor, "", 0.02)
    table.most("  most memory of sync", max(usage.memory for usage in syncs), "MB", 80)
