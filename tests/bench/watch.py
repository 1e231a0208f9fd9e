"""How soon a change in a watched directory is at an ftrack that is far away."""

import random
import statistics
import time

import reads
from jobs import configure, job
from living import Daemon
from processes import wait_until
from servers import FOLDER, SYNCPROV, Away, Slapd, Studio

# The round trip to ftrack, in milliseconds.
AWAY = 50
# Changes come at random moments, so many seconds apart.
APART = (0.1, 2.0)
ARTISTS = job(more='schedule = "@yearly"\nwatch = true')


class Users:
    """ftrack's users, asked near it."""

    def __init__(self, studio):
        self.reader = reads.Reader(studio.url)
        self.ids = {row["username"]: row["id"] for row in self.reader.rows(reads.USERS)}

    def last_name(self, username):
        query = f'select id, last_name from User where id in ("{self.ids[username]}") order by id'
        return self.reader.page(query, 0)["data"][0]["last_name"]


def change(slapd, users, dn, number):
    """Somebody gets another name: the seconds until ftrack has it."""
    username, name = dn.split(",")[0].removeprefix("uid="), f"Renamed {number}"
    began = time.perf_counter()
    slapd.modify(slapd.rename(dn, name))
    wait_until(lambda: users.last_name(username) == name, f"the new name of {username}")
    return time.perf_counter() - began


def measure(options, table):
    count, changes, quiet = (2_000, 20, 3) if options.short else (100_000, 200, 60)
    print(f"bench: {count:,} people of a watched directory, {changes} changes, one at a time", flush=True)
    with (
        Slapd(options.studio, count, SYNCPROV) as slapd,
        Studio(options.studio, "serve", count) as studio,
        # What passes is counted there; it is not far away.
        Away(options.studio, slapd, 0) as ldap,
        Away(options.studio, studio, AWAY) as ftrack,
    ):
        people, users = slapd.dns(), Users(studio)
        with Daemon(options.program, configure(ldap.url, ftrack.url, ARTISTS), FOLDER) as daemon:
            daemon.run()
            wait_until(daemon.is_watching, "a watched directory")
            change(slapd, users, people[0], "first")
            time.sleep(2)
            before = ldap.counts()
            time.sleep(quiet)
            carried = ldap.passed_since(before)
            chance, seconds = random.Random(1), []
            for number in range(changes):
                time.sleep(chance.uniform(*APART))
                seconds.append(change(slapd, users, chance.choice(people), number))
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    table.figure(f"a watched directory of {count:,} people, ftrack {AWAY} ms away: until ftrack has a change, median", cuts[49], "s")
    table.figure("  the longest", max(seconds), "s")
    table.most("  the 99th percentile", cuts[98], "s", 2)
    table.equal(f"  bytes between the directory and the daemon in {quiet} quiet seconds", carried["sent"] + carried["received"], 0)
