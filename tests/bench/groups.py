"""A job with `member_of`, beside the same job without it."""

import collections
import statistics
import subprocess

import reads
from figures import middle
from jobs import configure, job, sync
from processes import LIMIT
from servers import ADMIN, FOLDER, PASSWORD, SUFFIX, Slapd, Studio

ROUNDS = 5
BASE = "ou=groups," + SUFFIX
ALL = "cn=all," + BASE
PAGE = 1_000
# What slapd counts is in a database of its own.
MONITOR = "database monitor\n"
# What the program asks for of groups.
CLASSES = ["groupOfNames", "groupOfUniqueNames", "posixGroup", "group", "groupOfMembers", "groupOfURLs"]
FILTER = f"(|{''.join(f'(objectClass={name})' for name in CLASSES)})"
ATTRIBUTES = ["member", "uniqueMember", "objectClass", "memberUid", "memberURL"]

# What a sync took, and what it took of the directory: seconds, and searches.
OfSync = collections.namedtuple("OfSync", ["seconds", "processor", "memory", "directory", "searches"])


def measure(options, table):
    if options.short:
        members(options, 2_000, 100, 30, table)
    else:
        members(options, 100_000, 1_000, 150, table)
        members(options, 100_000, 1_000, 950, table)


def load(options, slapd, people, groups, size):
    """Adds the groups, and returns how many members they have, each counted as often as it is one."""
    ldif = FOLDER / "groups.ldif"
    with ldif.open("wb") as out:
        subprocess.run([options.studio, "groups", *map(str, (people, groups, size))], stdout=out, check=True, timeout=LIMIT)
    command = ["ldapadd", "-x", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD, "-f", ldif]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
    with ldif.open() as lines:
        members = sum(line.startswith("member: ") for line in lines)
    ldif.unlink()
    return members


def searches_begun(slapd):
    """How many searches slapd was asked for, with this one."""
    lines = slapd.search("-s", "base", "monitorOpInitiated", base="cn=Search,cn=Operations,cn=Monitor")
    [count] = [line for line in lines if line.startswith("monitorOpInitiated: ")]
    return int(count.split()[1])


def one_sync(program, config, slapd, people):
    """One sync that finds everybody unchanged."""
    before = searches_begun(slapd)
    usage, report = sync(program, config, unchanged=people)
    return OfSync(*usage, report["seconds"]["directory"], searches_begun(slapd) - before - 1)


def members(options, people, groups, size, table):
    """Everybody is a member of the job's group through others, and a sync finds nothing to do."""
    print(f"bench: {people:,} people in {groups:,} groups, most of {size}", flush=True)
    of_people, of_groups, plains, without, within = [], [], [], [], []
    with Slapd(options.studio, people, MONITOR) as slapd, Studio(options.studio, "recorded", people) as studio:
        memberships = load(options, slapd, people, groups, size)
        member_of = job(more=f'member_of = ["{ALL}"]\ngroup_bases = ["{BASE}"]')
        # Neither ran before.
        configs = configure(slapd.url, studio.url), configure(slapd.url, studio.url, member_of, state="groups")
        for config in configs * 2:
            sync(options.program, config, unchanged=people)
        for _ in range(1 if options.short else ROUNDS):
            of_people.append(reads.ldapsearch(slapd.url, PAGE))
            of_groups.append(reads.ldapsearch(slapd.url, PAGE, BASE, (FILTER, *ATTRIBUTES)))
            studio.asked()
            for name, config, figures in zip(("without", "with"), configs, (without, within)):
                figure = one_sync(options.program, config, slapd, people)
                figures.append(figure)
                asked = studio.asked()
                print(
                    f"  sync {name} member_of {figure.seconds:.2f} s (directory {figure.directory:.2f} s, processor "
                    f"{figure.processor:.2f} s, {figure.memory:.0f} MB)",
                    flush=True,
                )
            plains.append(reads.plain(studio.url, asked))
    search = statistics.median(one.seconds + other.seconds for one, other in zip(of_people, of_groups))
    groups_alone, plain, without, within = map(middle, (of_groups, plains, without, within))
    table.figure(f"{people:,} people, {memberships:,} memberships: ldapsearch", search, "s")
    table.figure("  plain reads of ftrack", plain.seconds, "s")
    table.figure("  sync without member_of", without.seconds, "s")
    table.figure("  sync with member_of", within.seconds, "s")
    table.figure("  its reads of the directory", within.directory, "s")
    table.most("  sync with member_of / the slower of both", within.seconds / max(search, plain.seconds), "", 1.5)
    table.most("  its reads of the directory / ldapsearch", within.directory / search, "", 1.5)
    added = within.processor - without.processor
    table.figure("  processor time that member_of adds, each", added / memberships * 1e6, "us")
    table.figure("  processor time of ldapsearch for the groups, each", groups_alone.processor / memberships * 1e6, "us")
    table.most("  memory that member_of adds, each", (within.memory - without.memory) * 1e6 / memberships, "bytes", 100)
    # The groups fit a page, whose end may need another.
    table.most("  searches that member_of adds", within.searches - without.searches, "", groups / 1000 + 1)
