"""Measures a watched directory: see `run`, which starts this, and README.md, which says what is compared."""

import json
import random
import statistics
import subprocess
import time
from urllib.parse import urlsplit

import plain_reads
from changes import ADMIN, OVERLAY, Daemon, Directory
from far import far
from servers import PASSWORD, Slapd, Studio

import measure

FOLDER = measure.FOLDER
# The round trip to ftrack, in seconds.
AWAY = 0.05
# Changes come at random moments, so many seconds apart.
APART = (0.1, 2.0)
LIMIT = 30
JOB = """
schedule = "@yearly"
watch = true
"""


class Users:
    """ftrack's users, asked near it."""

    def __init__(self, studio):
        self.reader = plain_reads.Reader(studio.url)
        self.ids, offset = {}, 0
        while offset is not None:
            [answer] = json.loads(self.reader.page(plain_reads.USERS, offset))
            self.ids.update((row["username"], row["id"]) for row in answer["data"])
            offset = answer["metadata"]["next"]["offset"]

    def last_name(self, username):
        query = f'select id, last_name from User where id in ("{self.ids[username]}") order by id'
        [answer] = json.loads(self.reader.page(query, 0))
        return answer["data"][0]["last_name"]


def wait_until(what, is_so):
    end = time.monotonic() + LIMIT
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {LIMIT} s")
        time.sleep(0.01)


def is_watching(daemon):
    status = json.loads(daemon.command("status", "--format", "json").stdout)
    [job] = status["jobs"]
    return job["watch"]["watching"]


def on_the_wire(slapd):
    """The bytes that slapd's connections have carried, both ways."""
    port = urlsplit(slapd.url).port
    shown = subprocess.run(["ss", "-tinH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout.split()
    counts = [field.split(":") for field in shown if field.startswith(("bytes_sent:", "bytes_received:"))]
    return sum(int(count) for _, count in counts)


def change(slapd, users, dn, number):
    """Somebody gets another name: the seconds until ftrack has it."""
    username, name = dn.split(",")[0].removeprefix("uid="), f"Renamed {number}"
    began = time.perf_counter()
    subprocess.run(
        ["ldapmodify", "-x", "-H", slapd.url, "-D", ADMIN, "-w", PASSWORD],
        input=f"dn: {dn}\nchangetype: modify\nreplace: sn\nsn: {name}\n", text=True, check=True, stdout=subprocess.DEVNULL,
    )
    wait_until(f"the new name of {username}", lambda: users.last_name(username) == name)
    return time.perf_counter() - began


def watched(options, count, changes, quiet, table):
    print(f"bench: {count} people of a watched directory, {changes} changes, one at a time", flush=True)
    more = f'rootdn "{ADMIN}"\nrootpw {PASSWORD}\n{OVERLAY}'
    with Slapd(FOLDER, options.studio, count, more) as slapd, Studio(options.studio, count) as studio, far(studio, AWAY) as reached:
        path = measure.config(slapd, reached)
        path.write_text(f'control_socket = "{FOLDER}/control.sock"\n' + path.read_text() + JOB)
        people, users = Directory(slapd).dns, Users(studio)
        with Daemon(options.program, path, slapd) as daemon:
            daemon.run()
            wait_until("watching", lambda: is_watching(daemon))
            change(slapd, users, people[0], "first")
            time.sleep(2)
            before = on_the_wire(slapd)
            time.sleep(quiet)
            carried = on_the_wire(slapd) - before
            chance, seconds = random.Random(1), []
            for number in range(changes):
                time.sleep(chance.uniform(*APART))
                seconds.append(change(slapd, users, chance.choice(people), number))
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    table.figure("from the directory to ftrack: median", cuts[49], "s")
    table.figure("the longest", max(seconds), "s")
    table.target("the 99th percentile", cuts[98], "s", 2)
    table.equal(f"bytes between the directory and the daemon in {quiet} quiet seconds", carried, 0)


def main():
    options, table = measure.begin()
    if options.short:
        watched(options, 2_000, 20, 3, table)
    else:
        watched(options, 100_000, 200, 60, table)
    table.end()


if __name__ == "__main__":
    main()
