"""Measures a job with `member_of`: see `run`, which starts this, and README.md, which says what is compared."""

import collections
import json
import os
import statistics
import subprocess
import time

import measure
import plain_reads
from servers import PASSWORD, READER, SUFFIX, Slapd, Studio

FOLDER = measure.FOLDER
ROUNDS = 5
BASE = "ou=groups," + SUFFIX
ALL = "cn=all," + BASE
ADMIN = "cn=admin," + SUFFIX
# What slapd counts is in a database of its own; the first lines are for the people's.
MORE = f"""
rootdn "{ADMIN}"
rootpw {PASSWORD}
database monitor
"""
# What the program asks for of groups.
CLASSES = ["groupOfNames", "groupOfUniqueNames", "posixGroup", "group", "groupOfMembers", "groupOfURLs"]
FILTER = f"(|{''.join(f'(objectClass={name})' for name in CLASSES)})"
ATTRIBUTES = ["member", "uniqueMember", "objectClass", "memberUid", "memberURL"]

Usage = collections.namedtuple("Usage", ["seconds", "processor", "memory", "directory", "searches"])


def run(command, **options):
    """Runs a command to its end: seconds, those of the processor, and the most memory that it had (bytes)."""
    began = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def load(options, slapd, people, groups, size):
    """Adds the groups, and returns how many members they have, each counted as often as it is one."""
    ldif = FOLDER / "groups.ldif"
    with ldif.open("wb") as out:
        subprocess.run([options.studio, "groups", *map(str, (people, groups, size))], stdout=out, check=True)
    subprocess.run(["ldapadd", "-x", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD, "-f", ldif], check=True, stdout=subprocess.DEVNULL)
    with ldif.open() as lines:
        members = sum(line.startswith("member: ") for line in lines)
    ldif.unlink()
    return members


def searches_begun(slapd):
    """How many searches slapd was asked for, with this one."""
    command = ["ldapsearch", "-x", "-LLL", "-H", slapd.url, "-D", READER, "-w", PASSWORD, "-b", "cn=Search,cn=Operations,cn=Monitor"]
    found = subprocess.run([*command, "-s", "base", "monitorOpInitiated"], capture_output=True, text=True, check=True)
    [count] = [line for line in found.stdout.splitlines() if line.startswith("monitorOpInitiated: ")]
    return int(count.split()[1])


def ldapsearch(slapd):
    """Reads all groups and all people, as a sync does: the seconds, and those of the groups by the processor."""
    command = ["ldapsearch", "-x", "-LLL", "-H", slapd.url, "-D", READER, "-w", PASSWORD, "-b", BASE, "-E", "pr=1000/noprompt"]
    groups, processor, _ = run([*command, FILTER, *ATTRIBUTES], stdout=subprocess.DEVNULL)
    return groups + measure.ldapsearch(slapd), processor


def configs(slapd, studio):
    """The same job without and with `member_of`; neither ran before."""
    without = measure.config(slapd, studio)
    text = without.read_text()
    within = FOLDER / "groups.toml"
    within.write_text(text.replace("/state", "/state/groups") + f'member_of = ["{ALL}"]\ngroup_bases = ["{BASE}"]\n')
    return without, within


def sync(program, config, slapd, people):
    """One sync that finds everybody unchanged."""
    output = FOLDER / "report.json"
    before = searches_begun(slapd)
    with output.open("wb") as out:
        figures = run([program, "--config", config, "sync", "--format", "json"], stdout=out, stderr=subprocess.DEVNULL)
    searches = searches_begun(slapd) - before - 1
    report = json.loads(output.read_text())
    counts = report["counts"]
    assert (counts["unchanged"], report["ftrack"]["write_calls"]) == (people, 0), (counts, report["warnings"])
    return Usage(*figures, report["seconds"]["directory"], searches)


def members(options, people, groups, size, table):
    """Everybody is a member of the job's group through others, and a sync finds nothing to do."""
    print(f"bench: {people} people in {groups} groups, most of {size}", flush=True)
    searches, processor, reads, without, within = [], [], [], [], []
    with Slapd(FOLDER, options.studio, people, MORE) as slapd, Studio(options.studio, people) as studio:
        memberships = load(options, slapd, people, groups, size)
        plain, of_members = configs(slapd, studio)
        for warm in [False] + [True] * ROUNDS:
            search, of_groups = ldapsearch(slapd)
            began = time.perf_counter()
            plain_reads.read_all(studio.url, people)
            read = time.perf_counter() - began
            figures = [sync(options.program, config, slapd, people) for config in (plain, of_members)]
            if warm:
                searches.append(search)
                processor.append(of_groups)
                reads.append(read)
                without.append(figures[0])
                within.append(figures[1])
                for name, figure in zip(("without", "with"), figures):
                    print(
                        f"  ldapsearch {search:.2f} s (groups, processor {of_groups:.2f} s), plain reads {read:.2f} s, sync {name} member_of {figure.seconds:.2f} s "
                        f"(directory {figure.directory:.2f} s, processor {figure.processor:.2f} s, {figure.memory / 1e6:.0f} MB)",
                        flush=True,
                    )
    search, of_groups, read = map(statistics.median, (searches, processor, reads))
    without, within = (Usage(*map(statistics.median, zip(*figures))) for figures in (without, within))
    name = f"{people} people, {memberships} memberships"
    table.figure(f"{name}: ldapsearch", search, "s")
    table.figure("  plain reads of ftrack", read, "s")
    table.figure("  sync without member_of", without.seconds, "s")
    table.figure("  sync with member_of", within.seconds, "s")
    table.figure("  its reads of the directory", within.directory, "s")
    table.target("  sync with member_of / the longer of the two", within.seconds / max(search, read), "", 1.5)
    table.target("  its reads of the directory / ldapsearch", within.directory / search, "", 1.5)
    added = within.processor - without.processor
    table.figure("  processor time that member_of adds", added / memberships * 1e6, "us each")
    table.figure("  processor time that ldapsearch takes for the groups", of_groups / memberships * 1e6, "us each")
    table.target("  memory that member_of adds", (within.memory - without.memory) / memberships, "bytes each", 100)
    # The groups fit a page, whose end may need another.
    table.target("  searches that member_of adds", within.searches - without.searches, "", groups / 1000 + 1)


def main():
    options, table = measure.begin()
    if options.short:
        members(options, 2_000, 100, 30, table)
    else:
        members(options, 100_000, 1_000, 150, table)
        members(options, 100_000, 1_000, 950, table)
    table.end()


if __name__ == "__main__":
    main()
