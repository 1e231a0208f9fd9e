"""Measures the program: see `run`, which starts this, and README.md, which says what is compared."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import plain_reads
from figures import Table, busy_share
from servers import API_KEY, API_USER, PASSWORD, PEOPLE, READER, Slapd, Studio

FOLDER = pathlib.Path("target/bench").resolve()
HERE = pathlib.Path(__file__).resolve().parent
# What the program asks for: what is mapped, and whatever may be the id.
ATTRIBUTES = ["givenName", "mail", "sn", "uid", "entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID"]
ROUNDS = 5

CONFIG = """
state_dir = "{folder}/state"
[ftrack]
server = "{ftrack}"
api_user = "{api_user}"
api_key_file = "ftrack-api-key"
[directories.studio]
urls = ["{ldap}"]
bind_dn = "{reader}"
bind_password_file = "ldap-password"
[jobs.artists]
directory = "studio"
search_bases = ["{people}"]
filter = "(objectClass=inetOrgPerson)"
attributes = {{ username = "uid", email = "mail", first_name = "givenName", last_name = "sn" }}
"""


def run(command, **options):
    """Runs a command to its end: seconds, and the most memory that it had (MB), as `/usr/bin/time -v` tells both."""
    began = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return took, usage.ru_maxrss * 1024 / 1e6


def config(slapd, studio):
    """The configuration of a job that never ran."""
    shutil.rmtree(FOLDER / "state", ignore_errors=True)
    (FOLDER / "ldap-password").write_text(PASSWORD)
    (FOLDER / "ftrack-api-key").write_text(API_KEY)
    path = FOLDER / "config.toml"
    path.write_text(CONFIG.format(folder=FOLDER, ftrack=studio.url, ldap=slapd.url, api_user=API_USER, reader=READER, people=PEOPLE))
    return path


def sync(program, config, unchanged, created):
    """One sync, which must do just that."""
    output = FOLDER / "report.json"
    with output.open("wb") as out:
        figures = run([program, "--config", config, "sync", "--format", "json"], stdout=out, stderr=subprocess.DEVNULL)
    report = json.loads(output.read_text())
    counts = report["counts"]
    found = (counts["unchanged"], counts["created"], report["ftrack"]["write_calls"] > 0)
    assert found == (unchanged, created, created > 0), (counts, report["warnings"])
    return figures


def ldapsearch(slapd):
    command = ["ldapsearch", "-x", "-LLL", "-H", slapd.url, "-D", READER, "-w", PASSWORD, "-b", PEOPLE, "-E", "pr=1000/noprompt"]
    return run([*command, "(objectClass=inetOrgPerson)", *ATTRIBUTES], stdout=subprocess.DEVNULL)[0]


def nothing_to_do(options, count, table):
    """Both servers hold the same people, and a sync finds nothing to do."""
    print(f"bench: {count} people and their users, nothing to change", flush=True)
    syncs, memory, searches, reads = [], [], [], []
    with Slapd(FOLDER, options.studio, count) as slapd, Studio(options.studio, count) as studio:
        path = config(slapd, studio)
        for warm in [False] + [True] * ROUNDS:
            search = ldapsearch(slapd)
            began = time.perf_counter()
            plain_reads.read_all(studio.url, count)
            read = time.perf_counter() - began
            took, used = sync(options.program, path, count, 0)
            if warm:
                searches.append(search)
                reads.append(read)
                syncs.append(took)
                memory.append(used)
                print(f"  ldapsearch {search:.2f} s, plain reads {read:.2f} s, sync {took:.2f} s with {used:.0f} MB", flush=True)
    took, search, read = map(statistics.median, (syncs, searches, reads))
    table.figure(f"{count} people: ldapsearch", search, "s")
    table.figure(f"{count} users: plain reads of ftrack", read, "s")
    table.figure(f"{count} people and users: sync", took, "s")
    table.target("sync / the longer of the two", took / max(search, read), "", 1.5)
    table.target("most memory of sync", max(memory), "MB", 150)


def importing(options, count, table):
    """ftrack is empty, and everybody becomes a user."""
    print(f"bench: importing {count} people", flush=True)
    syncs, scripts, found = [], [], []
    with Slapd(FOLDER, options.studio, count) as slapd:
        for is_sync in (True, False, True, False, True):
            with Studio(options.studio, 0) as studio:
                if is_sync:
                    took, used = sync(options.program, config(slapd, studio), 0, count)
                    syncs.append(took)
                    print(f"  sync {took:.2f} s with {used:.0f} MB", flush=True)
                else:
                    took, _ = run([sys.executable, str(HERE / "plain_import.py"), slapd.url, studio.url])
                    scripts.append(took)
                    print(f"  script {took:.2f} s", flush=True)
                found.append(plain_reads.users(studio.url))
    assert len(found[0]) == count + 2, len(found[0])
    assert all(users == found[0] for users in found), "the script and the program made different users"
    took, script = map(statistics.median, (syncs, scripts))
    table.figure(f"importing {count}: script", script, "s")
    table.figure(f"importing {count}: sync", took, "s")
    table.target("sync / script", took / script, "", 0.1)


def begin():
    """The options of the command line, and the table of what is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--studio", required=True)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    busy = busy_share()
    if busy > 0.1:
        # The sync uses all cores, and the plain reads one: whatever else runs makes the ratio worse than it is.
        print(f"bench: the machine is {busy:.0%} busy with other things; the ratios will be too high", flush=True)
    return options, Table(judged=not options.short)


def main():
    options, table = begin()
    nothing_to_do(options, 2_000 if options.short else 100_000, table)
    importing(options, 2_000 if options.short else 20_000, table)
    table.end()


if __name__ == "__main__":
    main()
