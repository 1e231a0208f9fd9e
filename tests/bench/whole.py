"""What roles, groups, custom attributes and snapshots add to a sync."""

import json
import statistics

from groups import BASE, load
from jobs import configure, job, sync
from processes import run
from servers import FOLDER, Slapd, Studio

ROUNDS = 5
CUSTOM = ["title", "employeeNumber"]


def measure(options, table):
    if options.short:
        everything(options, 2_000, 20, table)
    else:
        everything(options, 100_000, 400, table)


def everything_of(teams):
    """A job with all that it may give its people."""
    # Those without other teams in them: about half of the people are in one.
    leaves = range(teams // 2 + 1, teams)
    groups = "".join(f'"Teams/team {number}" = ["cn=team {number},{BASE}"]\n' for number in leaves)
    return job(
        attributes="".join(f', "custom_attributes.{name}" = "{name}"' for name in CUSTOM),
        more=f'group_bases = ["{BASE}"]\nusers = {{ create_groups = true }}\n'
        f'[jobs.artists.roles]\n"Project Manager" = ["cn=half,{BASE}"]\n'
        f'"User" = {{ groups = ["cn=team {leaves[0]},{BASE}"], projects = ["show_a", "show_b"] }}\n[jobs.artists.groups]\n{groups}',
    )


def everything(options, people, teams, table):
    print(f"bench: {people:,} people, roles, {teams // 2} groups and {len(CUSTOM)} custom attributes", flush=True)
    with Slapd(options.studio, people) as slapd, Studio(options.studio, "whole", *CUSTOM) as studio:
        memberships = load(options, slapd, people, teams + 2, 100)
        plain = configure(slapd.url, studio.url)
        whole = configure(slapd.url, studio.url, everything_of(teams), state="whole")
        print("  importing", flush=True)
        report = FOLDER / "report.json"
        run([options.program, "--config", whole, "sync", "--format", "json"], report)
        counts = json.loads(report.read_text())["counts"]
        assert counts["created"] == people and counts["role_changes"] > people / 2 and counts["group_changes"] > 0, counts
        dn = slapd.dns()[0]
        without, within, kept = [], [], []
        # The first round warms everything up.
        for number in range(2 if options.short else ROUNDS + 1):
            one = sync(options.program, plain, unchanged=people)
            all_of_it = sync(options.program, whole, unchanged=people)
            slapd.modify(slapd.rename(dn, f"New {number}", "givenName"))
            changed, report = sync(options.program, whole, unchanged=people - 1, updated=1)
            more = changed.seconds - all_of_it[0].seconds
            print(
                f"  sync without {one[0].seconds:.2f} s, with {all_of_it[0].seconds:.2f} s ({all_of_it[0].memory:.0f} MB), "
                f"with one change {changed.seconds:.2f} s",
                flush=True,
            )
            if number:
                kept.append((changed.seconds, more, more - report["seconds"]["writing"]))
                without.append(one)
                within.append(all_of_it)
        sizes = [path.stat().st_size for path in (FOLDER / "whole" / "snapshots").rglob("*") if path.is_file()]

    def ratio(of):
        return statistics.median(of(one) / of(other) for one, other in zip(within, without))

    table.figure(
        f"{people:,} people, {memberships:,} memberships, {counts['role_changes']:,} roles given, {counts['group_changes']:,} groups joined: sync without",
        statistics.median(usage.seconds for usage, _ in without), "s",
    )
    table.figure("  sync with", statistics.median(usage.seconds for usage, _ in within), "s")
    table.most("  sync with / without", ratio(lambda run: run[0].seconds), "", 1.5)
    table.most("  reading directory and ftrack with / without", ratio(lambda run: run[1]["seconds"]["directory"] + run[1]["seconds"]["ftrack"]), "", 1.5)
    table.most("  its processor time with / without", ratio(lambda run: run[0].processor), "", 1.5)
    table.figure("  most memory with", max(usage.memory for usage, _ in within), "MB")
    table.figure("  a snapshot", statistics.median(sizes) / 1e6, "MB")
    table.figure("  snapshot and write of one change / the sync with it", statistics.median(more / took for took, more, _ in kept))
    table.most("  the snapshot alone / the sync with it", statistics.median(alone / took for took, _, alone in kept), "", 0.1)
