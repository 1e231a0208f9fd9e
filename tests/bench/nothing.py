"""A sync that finds nothing to do, beside what reads both servers plainly: near, and with both of them far away."""

import contextlib
import sys

import reads
from figures import middle
from jobs import calls, configure, sync
from processes import HERE, Failed, run
from servers import Away, Slapd, Studio

# Round trips to both servers, in milliseconds, and how often each is measured.
DISTANCES = {0: 5, 50: 3, 150: 1}
# The entries and rows of a page: as the program asks by itself, and as many as servers give to those who ask.
OWN, LARGE = 1_000, 5_000
LARGE_PAGES = {"of_ftrack": f"page_size = {LARGE}", "of_directory": f"page_size = {LARGE}"}
# By size, pages and distance: a sync's wall time, by that of the slower plain read.
WALL = {(100_000, OWN, 0): 1.25, (100_000, OWN, 50): 1.15}
# By size and pages: its processor time, by that of ldapsearch, and its most memory (MB).
PROCESSOR, MEMORY = {(100_000, OWN): 2}, {(100_000, OWN): 60}
# The bytes that one more person takes.
PERSON = 300


def measure(options, table):
    sizes = (500, 6_000) if options.short else (1_000, 10_000, 100_000, 300_000)
    memory = {}
    for count in sizes:
        with Slapd(options.studio, count) as slapd, Studio(options.studio, "recorded", count) as studio:
            try:
                for page in (OWN, LARGE):
                    if page == OWN or count > page:
                        print(f"bench: {count:,} people and their users, nothing to do, pages of {page:,}", flush=True)
                        memory[count, page] = with_pages(options, table, count, page, slapd, studio)
                script(options, table, count, slapd, studio)
            except Failed as error:
                # The other sizes are measured all the same.
                print(f"  {error}", flush=True)
                table.failed(f"{count:,} people, nothing to do", error)
    *_, few, many = [count for count, page in memory if page == OWN]
    more = (memory[many, OWN] - memory[few, OWN]) * 1e6 / (many - few)
    table.most(f"most memory of sync, for each person from {few:,} to {many:,}", more, "bytes", PERSON)


def with_pages(options, table, count, page, slapd, studio):
    """The figures with pages of that size; says the most memory near the servers (MB)."""
    config = configure(slapd.url, studio.url, **(LARGE_PAGES if page == LARGE else {}))
    for distance, rounds in DISTANCES.items():
        with contextlib.ExitStack() as stack:
            ldap, ftrack = slapd, studio
            if distance:
                ldap, ftrack = (stack.enter_context(Away(options.studio, server, distance)) for server in (slapd, studio))
            here = config.with_name("here.toml")
            here.write_text(config.read_text().replace(slapd.url, ldap.url).replace(studio.url, ftrack.url))
            # How large the calls are that fit is known after some runs, and the pages are made.
            for _ in range(1 if distance else 3):
                sync(options.program, here, unchanged=count)
            searches, plains, syncs = [], [], []
            for _ in range(1 if options.short else rounds):
                searches.append(reads.ldapsearch(ldap.url, page))
                studio.asked()
                before = [one.counts() for one in (ldap, ftrack)] if distance else []
                usage, report = sync(options.program, here, unchanged=count)
                passed = [one.passed_since(then) for one, then in zip((ldap, ftrack), before)]
                syncs.append(usage)
                plains.append(reads.plain(ftrack.url, studio.asked()))
            search, plain, whole = map(middle, (searches, plains, syncs))
        print(
            f"  {distance} ms: ldapsearch {search.seconds:.2f} s, plain reads {plain.seconds:.2f} s, sync {whole.seconds:.2f} s, "
            f"processor {whole.processor:.2f} s, {whole.memory:.0f} MB",
            flush=True,
        )
        where = f"both servers {distance} ms away" if distance else "near"
        table.figure(f"{count:,} people, nothing to do, pages of {page:,}, {where}: ldapsearch", search.seconds, "s")
        table.figure(f"  plain reads of ftrack, {reads.CALLS} at a time, its pages made beforehand", plain.seconds, "s")
        table.figure("  sync", whole.seconds, "s")
        ratio = whole.seconds / max(search.seconds, plain.seconds)
        table.judged_by(WALL.get((count, page, distance)), "  sync / the slower of both", ratio)
        if distance:
            by_what(table, report, passed)
        else:
            table.figure("  processor time of ldapsearch", search.processor, "s")
            table.figure("  processor time of sync", whole.processor, "s")
            by_processor = whole.processor / search.processor
            table.judged_by(PROCESSOR.get((count, page)), "  processor time of sync / of ldapsearch", by_processor)
            memory = max(usage.memory for usage in syncs)
            table.judged_by(MEMORY.get((count, page)), "  most memory of sync", memory, "MB")
    return memory


def by_what(table, report, passed):
    """What passed between a sync and the servers."""
    table.figure("  calls of sync to ftrack", calls(report))
    for server, counts in zip(("the directory", "ftrack"), passed):
        table.figure(f"  its connections to {server}", counts["connections"])
        table.figure(f"  its bytes to {server}", counts["sent"] / 1e6, "MB")
        table.figure(f"  its bytes from {server}", counts["received"] / 1e6, "MB")


def script(options, table, count, slapd, studio):
    """The script that imports (importing.py) also finds nothing to do where everybody is a user."""
    config = configure(slapd.url, studio.url)
    for _ in range(2):
        own, _ = sync(options.program, config, unchanged=count)
    usage = run([sys.executable, HERE / "plain_import.py", slapd.url, studio.url])
    print(f"  script {usage.seconds:.2f} s, sync {own.seconds:.2f} s", flush=True)
    table.figure(f"{count:,} people, nothing to do: script in Python", usage.seconds, "s")
    table.figure("  its processor time", usage.processor, "s")
    table.figure("  its most memory", usage.memory, "MB")
    table.figure("  sync / script", own.seconds / usage.seconds)
    table.figure("  processor time of sync / of script", own.processor / usage.processor)
