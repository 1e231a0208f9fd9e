"""What a daemon uses: many runs in one process, none for a while, and its start."""

import collections
import contextlib
import datetime
import json
import shutil
import sqlite3
import statistics
import time

from jobs import configure, job
from living import Daemon
from processes import run, wait_until
from servers import FOLDER as ABOVE, Served, free_port

FOLDER = ABOVE / "daemon"
STATE = FOLDER / "state"
PEOPLE_COUNT = 200


class World(Served):
    """The embedded directory and the ftrack stand-in; whatever happens there is said as `world.rs` lists it."""

    def __init__(self, studio, count):
        super().__init__(studio, "world", count)
        self.urls = json.loads(self.at)

    def happens(self, what):
        """Lets something happen; answers with what the directory counts."""
        return self.ask(what)


def prepare(world, jobs, keep):
    """The configuration of a daemon whose jobs never ran; says the file, and the port of its HTTP listener."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    port, tables = free_port(), ""
    for number, name in enumerate(jobs):
        # Once a day, the first in two hours.
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2 + number)
        tables += job(name, f'schedule = "{at.minute} {at.hour} * * *"\nlimits = {{ deactivate = "100%" }}')
    top = f'[http]\nlisten = "127.0.0.1:{port}"\n[reports]\nkeep = {keep}'
    file = configure(world.urls["ldap"], world.urls["ftrack"], tables, folder=FOLDER, top=top, of_ftrack="attempts = 1")
    return file, port


# Soak


def state_size():
    """Bytes of the state database, with what belongs to it, and the number of all files in the state folder."""
    files = [path for path in STATE.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if path.name.startswith("state.db")), len(files)


def reports_of_nothing():
    """How many reports are kept of runs that changed nothing, held nothing and did not fail: the others are kept for long."""
    reports = [json.loads(path.read_text()) for path in (STATE / "reports" / "artists").iterdir()]
    done = ("created", "updated", "deactivated", "reactivated", "held", "failed")
    return sum(report["outcome"] == "succeeded" and not any(report["counts"][name] for name in done) for report in reports)


class Rest:
    """What the daemon holds when it has nothing to do."""

    def __init__(self, daemon, world):
        daemon.settle()
        self.memory, self.anonymous, _ = daemon.memory()
        self.files = collections.Counter(name.split(":")[0] for name in daemon.files())
        self.threads = daemon.threads()
        self.connections = world.happens("all-is-well")["connections"]

    def __str__(self):
        return f"{self.memory:.1f} MB ({self.anonymous:.1f} anonymous), {self.files.total()} files, {self.threads} threads, {self.connections} LDAP connections"


def failed(number):
    """How many of so many runs failed."""
    return (number + 10) // 50


def one_run(daemon, world, number):
    """One run of a soak, with what comes before and after it; the outcome must be what follows."""
    if number % 50 == 40:
        failing(daemon, world, number // 50)
        return
    # The runs that do not fail take turns, from the second on.
    turn = number - 2 - failed(number)
    person = turn // 4 % (PEOPLE_COUNT - 1)
    happens, follows = [
        (f"leaves {person}", "deactivated"),
        (f"is-called {person + 1} Name{number}", "updated"),
        (f"returns {person}", "reactivated"),
        (None, None),
    ][turn % 4]
    if number % 100 == 51:
        # One more, who stays.
        world.happens(f"joins new{number}")
    if happens:
        world.happens(happens)
    counts = daemon.run("artists")["counts"]
    wanted = {name: 0 for name in ("created", "updated", "deactivated", "reactivated", "held", "failed")}
    wanted["created"] = int(number % 100 == 51)
    if follows:
        wanted[follows] = 1
    assert wanted.items() <= counts.items(), (number, happens, counts)


def failing(daemon, world, turn):
    """A run in an outage, each time another one; every second time the configuration is reloaded, a broken one and then the right one."""
    before, after = [
        ("directory-stops", "directory-starts"),
        ("ftrack-fails", "all-is-well"),
        ("directory-is-busy", "all-is-well"),
        ("ftrack-resets", "all-is-well"),
    ][turn % 4]
    world.happens(before)
    report = daemon.run("artists")
    assert report["outcome"] == "failed" and report["counts"]["unchanged"] == 0, report
    world.happens(after)
    if turn % 2 == 0:
        file = FOLDER / "state.toml"
        right = file.read_text()
        file.write_text(right.replace("[ftrack]", "[ftrack]\ncolour = 1"))
        assert not daemon.reload()
        file.write_text(right)
        assert daemon.reload()


def soak(options, table):
    """Many runs in one process."""
    runs, keep = (60, 20) if options.short else (1000, 50)
    print(f"bench: {runs} runs in one process, {PEOPLE_COUNT} people; every 50th fails, every 100th with reloads", flush=True)
    with World(options.studio, PEOPLE_COUNT) as world:
        file, port = prepare(world, ["artists"], keep)
        with Daemon(options.program, file, FOLDER, port) as daemon:
            wait_until(daemon.is_in_touch, "the first contact")
            assert daemon.run("artists")["counts"]["created"] == PEOPLE_COUNT
            table.figure("soak: after a run that makes 200 users, at once: resident", daemon.memory()[0], "MB")
            first = None
            used = daemon.processor_seconds()
            for number in range(2, runs + 1):
                one_run(daemon, world, number)
                if number % 10 == 0:
                    for path in ("/metrics", "/", "/healthz"):
                        daemon.page(path)
                if number == 10:
                    first = Rest(daemon, world)
                    print(f"  after {number} runs: {first}", flush=True)
                if number == 2 * keep:
                    size, files = state_size()
                if number % (runs // 10) == 0:
                    print(f"  after {number} runs: {daemon.memory()[0]:.1f} MB, {len(daemon.files())} files, {daemon.threads()} threads", flush=True)
            used = daemon.processor_seconds() - used
            last = Rest(daemon, world)
            print(f"  after {runs} runs: {last}", flush=True)
            if last.files != first.files:
                print(f"  files before and after: {dict(first.files)}, {dict(last.files)}", flush=True)
            metrics = daemon.metrics()
            status = daemon.status()
        table.figure("soak: processor time of a run", used / runs * 1000, "ms")
        grown = f"({first.memory:.1f} MB after 10, {last.memory:.1f} MB after {runs})"
        table.most(f"soak: memory that {runs} runs add {grown}", last.memory - first.memory, "MB", round(2 + first.memory / 10, 1))
        table.most(f"soak: open files, {first.files.total()} after 10 runs", last.files.total(), "", first.files.total())
        table.equal("soak: threads, as after 10 runs", last.threads, first.threads)
        table.equal("soak: LDAP connections, as after 10 runs", last.connections, first.connections)
        size_now, files_now = state_size()
        table.most(f"soak: state.db, to its size after {2 * keep} runs ({size_now / 1000:.0f} kB)", size_now / size, "", 1.1)
        table.most("soak: reports kept of runs that did nothing", reports_of_nothing(), "", keep)
        table.figure(f"soak: files in the state folder, {files} after {2 * keep} runs", files_now)
        counted = [int(metrics[f'ftrack_ldap_sync_runs_total{{job="artists",outcome="{outcome}"}}']) for outcome in ("succeeded", "failed", "held", "partial")]
        table.equal("soak: runs in the metrics: succeeded, failed, held, partial", counted, [runs - failed(runs), failed(runs), 0, 0])
        assert status["config"]["reload_failures"] == (failed(runs) + 1) // 2, status["config"]


# Idle


def idle(options, table):
    """A daemon with nothing to do, scraped every 15 seconds."""
    seconds = 20 if options.short else 600
    print(f"bench: idle for {seconds} s, ten jobs", flush=True)
    with World(options.studio, PEOPLE_COUNT) as world:
        jobs = [f"job{number}" for number in range(10)]
        file, port = prepare(world, jobs, 500)
        with Daemon(options.program, file, FOLDER, port) as daemon:
            wait_until(daemon.is_in_touch, "the first contact")
            daemon.settle()
            daemon.metrics()
            began, used, ticks, switches = time.monotonic(), daemon.processor_seconds(), daemon.ticks(), daemon.switches()
            most, scrapes = daemon.memory(), 0
            while (passed := time.monotonic() - began) < seconds:
                if passed >= 15 * (scrapes + 1):
                    daemon.metrics()
                    scrapes += 1
                most = max(most, daemon.memory())
                time.sleep(min(1, max(0.01, seconds - passed)))
            passed = time.monotonic() - began
            used, ticks, switches = daemon.processor_seconds() - used, daemon.ticks() - ticks, daemon.switches() - switches
            again = None if options.short else after_runs(daemon, jobs)
        table.most(f"idle: resident at most ({scrapes} scrapes)", most[0], "MB", 20)
        table.figure("  of which anonymous", most[1], "MB")
        table.figure("  of which the program's own file", most[2], "MB")
        table.most(f"idle: of one core ({used * 1000:.0f} ms in {passed:.0f} s; utime + stime {ticks:.2f} s)", used / passed * 100, "%", 0.1)
        table.figure("idle: waits that began (voluntary context switches)", switches / passed, "/s")
        if again:
            table.figure(f"idle again after a run of each job ({again[1]:.1f} MB anonymous): resident", again[0], "MB")


def after_runs(daemon, jobs):
    """The memory of a daemon that has nothing to do any more, after a run of each job."""
    report = daemon.run(jobs[0])
    assert report["counts"]["created"] == PEOPLE_COUNT, report
    for job in jobs[1:]:
        # The others find somebody else's users: each reads and plans, and writes nothing.
        assert daemon.run(job)["ftrack"]["write_calls"] == 0
    daemon.settle()
    return daemon.memory()


# Start


def multiply(jobs, runs):
    """Makes the state of so many runs of each job out of the one report that is there, and has the program take it in."""
    [report] = (STATE / "reports" / jobs[0]).iterdir()
    content = json.loads(report.read_text())
    shutil.rmtree(STATE / "reports")
    (STATE / "state.db").unlink()
    now = datetime.datetime.now(datetime.UTC)
    for job in jobs:
        folder = STATE / "reports" / job
        folder.mkdir(parents=True)
        for number in range(runs):
            # A quarter of an hour apart, the newest a minute ago.
            at = now - datetime.timedelta(minutes=1 + 15 * (runs - 1 - number))
            run = f"{at:%Y%m%d-%H%M%S}-{number:04x}"
            moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            content |= {"run": run, "job": job, "started_at": moment, "finished_at": moment}
            (folder / f"{run}.json").write_text(json.dumps(content))
    for folder in [STATE / "reports", *(STATE / "reports").rglob("*")]:
        shutil.chown(folder, STATE.owner(), STATE.group())


def start(options, table):
    """From exec to READY=1."""
    times = 5 if options.short else 20
    jobs = [f"job{number}" for number in range(10)]
    with World(options.studio, PEOPLE_COUNT) as world:
        file, port = prepare(world, jobs, 500)

        def starts(what, before):
            found = []
            for _ in range(times):
                before()
                with Daemon(options.program, file, FOLDER, port) as daemon:
                    found.append(daemon.start_seconds * 1000)
            print(f"  {what}: {' '.join(f'{one:.0f}' for one in found)} ms", flush=True)
            table.figure(f"start to READY, {what}: median of {times}", statistics.median(found), "ms")
            table.most(f"start to READY, {what}: worst", max(found), "ms", 200)

        print(f"bench: {times} starts each, ten jobs", flush=True)
        starts("no state", lambda: shutil.rmtree(STATE, ignore_errors=True))
        run([options.program, "--config", file, "sync", jobs[0]])
        for some in (jobs[:1], jobs):
            multiply(some, 500)
            with Daemon(options.program, file, FOLDER, port):
                pass
            with contextlib.closing(sqlite3.connect(STATE / "state.db")) as database:
                [[known]] = database.execute("SELECT count(*) FROM runs")
            assert known == 500 * len(some), known
            starts(f"{known} runs in the state", lambda: None)
            reports = sorted((STATE / "reports" / jobs[0]).iterdir())
            for folder in (STATE / "reports").iterdir():
                if folder.name != jobs[0]:
                    shutil.rmtree(folder)
            for report in reports[1:]:
                report.unlink()
