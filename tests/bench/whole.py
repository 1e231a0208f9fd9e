"""Measures what roles, groups, custom attributes and snapshots add to a sync: see `run`, which starts this, and README.md."""

import json
import pathlib
import statistics
import subprocess
import sys

import measure
from groups import ADMIN, BASE, MORE, load, run
from servers import PASSWORD, PEOPLE, Slapd, Studio

FOLDER = measure.FOLDER
ROUNDS = 5
CUSTOM = ["title", "employeeNumber"]


def configs(slapd, studio, teams):
    """The same job without and with all that a job may give its people; neither ran before."""
    plain = measure.config(slapd, studio)
    text = plain.read_text()
    whole = FOLDER / "whole.toml"
    custom = "".join(f', "custom_attributes.{name}" = "{name}"' for name in CUSTOM)
    # Those without other teams in them: about half of the people are in one.
    leaves = range(teams // 2 + 1, teams)
    groups = "".join(f'"Teams/team {number}" = ["cn=team {number},{BASE}"]\n' for number in leaves)
    whole.write_text(
        text.replace("/state", "/state/whole").replace('last_name = "sn"', 'last_name = "sn"' + custom)
        + f'group_bases = ["{BASE}"]\nusers = {{ create_groups = true }}\n'
        + f'[jobs.artists.roles]\n"Project Manager" = ["cn=half,{BASE}"]\n'
        + f'"User" = {{ groups = ["cn=team {leaves[0]},{BASE}"], projects = ["show_a", "show_b"] }}\n[jobs.artists.groups]\n{groups}'
    )
    return plain, whole


def sync(program, config, people, updated=0):
    """One sync that finds everybody unchanged but so many: its figures, and what its report says."""
    output = FOLDER / "report.json"
    with output.open("wb") as out:
        figures = run([program, "--config", config, "sync", "--format", "json"], stdout=out, stderr=subprocess.DEVNULL)
    report = json.loads(output.read_text())
    counts = report["counts"]
    assert (counts["unchanged"], counts["updated"]) == (people - updated, updated), (counts, report["warnings"])
    return figures, report["seconds"]


def counts_of(report):
    """Read by another process: the memory of this one counts as that of the programs that it starts."""
    read = "import json, sys; print(json.dumps(json.load(open(sys.argv[1]))['counts']))"
    return json.loads(subprocess.run([sys.executable, "-c", read, report], capture_output=True, check=True).stdout)


def rename(slapd, dn, number):
    ldif = f"dn: {dn}\nchangetype: modify\nreplace: givenName\ngivenName: New {number}\n"
    command = ["ldapmodify", "-x", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD]
    subprocess.run(command, input=ldif, text=True, check=True, stdout=subprocess.DEVNULL)


def somebody(slapd):
    """The DN of one of the people."""
    command = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-z", "1", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD, "-b", PEOPLE]
    found = subprocess.run([*command, "(objectClass=inetOrgPerson)", "1.1"], capture_output=True, text=True)
    [dn] = [line.removeprefix("dn: ") for line in found.stdout.splitlines() if line.startswith("dn: ")]
    return dn


def everything(options, people, teams, table):
    print(f"bench: {people} people, roles, {teams // 2} groups and {len(CUSTOM)} custom attributes", flush=True)
    with Slapd(FOLDER, options.studio, people, MORE) as slapd, Studio(options.studio, "whole", *CUSTOM) as studio:
        memberships = load(options, slapd, people, teams + 2, 100)
        plain, whole = configs(slapd, studio, teams)
        print("  importing", flush=True)
        importing = [options.program, "--config", whole, "sync", "--format", "json"]
        with (FOLDER / "report.json").open("wb") as out:
            run(importing, stdout=out, stderr=subprocess.DEVNULL)
        counts = counts_of(FOLDER / "report.json")
        assert counts["created"] == people and counts["role_changes"] > people / 2 and counts["group_changes"] > 0, counts
        dn = somebody(slapd)
        without, within, kept = [], [], []
        for number in range(ROUNDS + 1):
            one = sync(options.program, plain, people)
            all_of_it = sync(options.program, whole, people)
            rename(slapd, dn, number)
            (took, _, _), seconds = sync(options.program, whole, people, updated=1)
            more = took - all_of_it[0][0]
            kept.append((took, more, more - seconds["writing"]))
            without.append(one)
            within.append(all_of_it)
            print(
                f"  sync without {one[0][0]:.2f} s (ftrack {one[1]['ftrack']:.2f} s), with {all_of_it[0][0]:.2f} s (ftrack {all_of_it[1]['ftrack']:.2f} s, "
                f"{all_of_it[0][2] / 1e6:.0f} MB), with one change {took:.2f} s",
                flush=True,
            )
        # The first round warms everything up.
        without, within, kept = without[1:], within[1:], kept[1:]
        snapshots = FOLDER / "state" / "whole" / "snapshots"
        sizes = [path.stat().st_size for path in pathlib.Path(snapshots).rglob("*") if path.is_file()]
    middle = lambda values: statistics.median(list(values))
    read = lambda runs: middle(seconds["directory"] + seconds["ftrack"] for _, seconds in runs)
    table.figure(f"{people} people, {memberships} memberships, {counts['role_changes']} roles given, {counts['group_changes']} groups joined: sync without", middle(f[0] for f, _ in without), "s")
    table.figure("  sync with", middle(f[0] for f, _ in within), "s")
    table.target("  sync with / without", middle(w[0][0] / o[0][0] for w, o in zip(within, without)), "", 1.5)
    table.target("  reading directory and ftrack with / without", read(within) / read(without), "", 1.5)
    table.target("  its processor time with / without", middle(w[0][1] / o[0][1] for w, o in zip(within, without)), "", 1.5)
    table.figure("  most memory with", max(f[2] for f, _ in within) / 1e6, "MB")
    table.figure("  a snapshot", middle(sizes) / 1e6, "MB")
    table.figure("  snapshot and write of one change / the sync with it", middle(more / took for took, more, _ in kept), "")
    table.target("  the snapshot alone / the sync with it", middle(alone / took for took, _, alone in kept), "", 0.1)


def main():
    options, table = measure.begin()
    if options.short:
        everything(options, 2_000, 20, table)
    else:
        everything(options, 100_000, 400, table)
    table.end()


if __name__ == "__main__":
    main()
