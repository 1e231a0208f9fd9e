"""A daemon's runs that read only what changed, beside those that read everything."""

import statistics
import time

from jobs import configure, job
from living import Daemon
from processes import processor_time
from servers import FOLDER, PEOPLE, SYNCPROV, Slapd, Studio

ROUNDS = 5
# How many people change in each round: one of them joins, and one leaves.
CHANGED = 10
# The daemon runs the job only when it is told to.
ARTISTS = job(more='schedule = "@yearly"\nchanges_schedule = "@yearly"')
# What runs in each round, in this order. The first run after one of everything gives back that one's memory.
RUNS = {"everything": False, "what changed, just after that": True, "what changed": True}


def measure(options, table):
    few, many = (500, 2_000) if options.short else (10_000, 100_000)
    *_, of_few = changed(options, few, table)
    whole, _, of_many = changed(options, many, table)
    table.most(f"{many:,} people, {CHANGED} changed: what changed / everything, seconds", of_many[0] / whole[0], "", 0.1)
    table.most("  processor time", of_many[1] / whole[1], "", 0.1)
    table.most(f"what changed of {many:,} / of {few:,}, seconds", of_many[0] / of_few[0], "", 1.5)
    table.most("  processor time", of_many[1] / of_few[1], "", 1.5)


class People:
    """Those of a directory, who change."""

    def __init__(self, slapd):
        self.slapd, self.joined, self.renamed, self.dns = slapd, 0, 0, slapd.dns()

    def change(self):
        """Ten people change."""
        self.joined += 1
        login = f"joins{self.joined}"
        changes = [
            f"dn: uid={login},{PEOPLE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {login}\ncn: {login}\n"
            f"givenName: Joins\nsn: {login}\nmail: {login}@studio.test\n",
            f"dn: {self.dns.pop()}\nchangetype: delete\n",
        ]
        for _ in range(CHANGED - len(changes)):
            self.renamed += 1
            dn = self.dns[self.renamed * 7 % len(self.dns)]
            changes.append(self.slapd.rename(dn, f"Renamed {self.renamed}"))
        self.slapd.modify(*changes)


def changed(options, count, table):
    """What both kinds of runs take when ten people changed: the medians of each."""
    print(f"bench: {count:,} people, of whom {CHANGED} changed", flush=True)
    figures = {name: [] for name in RUNS}
    with Slapd(options.studio, count, SYNCPROV) as slapd, Studio(options.studio, "serve", count) as studio:
        people = People(slapd)
        with Daemon(options.program, configure(slapd.url, studio.url, ARTISTS), FOLDER) as daemon:

            def run(changes):
                before = [processor_time(process) for process in (daemon.process, slapd.process)]
                began = time.perf_counter()
                report = daemon.run(changes=changes)
                took = time.perf_counter() - began
                after = [processor_time(process) for process in (daemon.process, slapd.process)]
                return report, (took, *(then - now for now, then in zip(before, after)))

            daemon.run()
            for _ in range(1 if options.short else ROUNDS):
                for name, changes in RUNS.items():
                    people.change()
                    report, taken = run(changes)
                    counts = report["counts"]
                    found = (counts["created"], counts["updated"], counts["deactivated"], report["directory"]["complete"])
                    assert found == (1, CHANGED - 2, 1, not changes), (counts, report["warnings"])
                    figures[name].append(taken)
                    print("  {}: {:.3f} s, processor {:.3f} s, slapd's {:.3f} s".format(name, *taken), flush=True)
            nothing, taken = run(True)
            assert nothing is None, nothing
            print("  nothing changed: {:.3f} s, processor {:.3f} s, slapd's {:.3f} s".format(*taken), flush=True)
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    for name, (took, processor, slapds) in medians.items():
        table.figure(f"{count:,} people, {CHANGED} changed: {name}", took, "s")
        table.figure("  the daemon's processor time", processor, "s")
        table.figure("  slapd's processor time", slapds, "s")
    return medians.values()
