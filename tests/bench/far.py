"""A sync whose ftrack is far away, beside the same near it: how many round trips it waits for."""

import contextlib
import statistics

from jobs import calls, configure, sync
from servers import Away, Slapd, Studio

# Of a round trip to ftrack, in milliseconds; the first is this machine's own.
ROUND_TRIPS = (0, 50, 150)
ROUNDS = 3


def measure(options, table):
    if options.short:
        existing(options, 500, table, (8, 10))
        importing(options, 200, table, 20)
    else:
        existing(options, 10_000, table, (8, 10))
        existing(options, 100_000, table, (20, 30))
        importing(options, 2_000, table, 20)


@contextlib.contextmanager
def away(options, studio, round_trip):
    """The same ftrack, so far away."""
    if round_trip:
        with Away(options.studio, studio, round_trip) as there:
            yield there
    else:
        yield studio


def round_trips(seconds):
    """How many explain the difference between the longest and the machine's own."""
    longest = ROUND_TRIPS[-1]
    return (statistics.median(seconds[longest]) - statistics.median(seconds[0])) / (longest / 1000)


def report(table, what, seconds, made):
    for round_trip in ROUND_TRIPS:
        where = f"  ftrack {round_trip} ms away" if round_trip else f"{what}: near"
        table.figure(where, statistics.median(seconds[round_trip]), "s")
    table.figure("  calls", statistics.median(made))


def existing(options, count, table, goals):
    """Everybody is a user already: nothing to do, then changes."""
    print(f"bench: {count:,} people and their users, ftrack far away", flush=True)
    changed = min(1_000, count // 2)
    nothing, some = ({trip: [] for trip in ROUND_TRIPS} for _ in range(2))
    made, made_by_some = [], []
    with Slapd(options.studio, count) as slapd, Studio(options.studio, "serve", count) as studio:
        dns = slapd.dns()[:changed]
        for round_trip in ROUND_TRIPS:
            with away(options, studio, round_trip) as there:
                config = configure(slapd.url, there.url)
                # What fits the server is known after it.
                first, _ = sync(options.program, config, unchanged=count)
                for turn in range(1 if options.short else ROUNDS):
                    usage, unchanged = sync(options.program, config, unchanged=count)
                    nothing[round_trip].append(usage.seconds)
                    made.append(calls(unchanged))
                    slapd.modify(*(slapd.rename(dn, f"Renamed {round_trip} {turn}") for dn in dns))
                    usage, done = sync(options.program, config, unchanged=count - changed, updated=changed)
                    some[round_trip].append(usage.seconds)
                    made_by_some.append(calls(done))
                print(f"  {round_trip} ms: first {first.seconds:.2f} s, nothing {nothing[round_trip]}, changes {some[round_trip]}", flush=True)
    report(table, f"{count:,} people, nothing to do", nothing, made)
    table.most("  round trips that it waits for", round_trips(nothing), "", goals[0])
    report(table, f"{count:,} people, {changed:,} changes", some, made_by_some)
    table.most("  round trips that it waits for", round_trips(some), "", goals[1])


def importing(options, count, table, goal):
    """ftrack is empty."""
    print(f"bench: importing {count:,} people, ftrack far away", flush=True)
    seconds, made = {trip: [] for trip in ROUND_TRIPS}, []
    with Slapd(options.studio, count) as slapd:
        for round_trip in ROUND_TRIPS:
            for _ in range(1 if options.short else ROUNDS):
                with Studio(options.studio, "serve", 0) as studio, away(options, studio, round_trip) as there:
                    usage, done = sync(options.program, configure(slapd.url, there.url), created=count)
                    seconds[round_trip].append(usage.seconds)
                    made.append(calls(done))
            print(f"  {round_trip} ms: {seconds[round_trip]}", flush=True)
    report(table, f"importing {count:,}", seconds, made)
    table.most("  round trips that it waits for", round_trips(seconds), "", goal)
