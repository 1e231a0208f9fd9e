"""Measures a run that reads only what changed: see `run`, which starts this, and README.md, which says what is compared."""

import json
import statistics
import subprocess
import time

from servers import PASSWORD, PEOPLE, READER, SUFFIX, Slapd, Studio

import measure

FOLDER = measure.FOLDER
ROUNDS = 5
# How many people change in each round: one of them joins, and one leaves.
CHANGED = 10
OVERLAY = """
index entryCSN eq
overlay syncprov
syncprov-sessionlog 10000
"""
ADMIN = "cn=admin," + SUFFIX
# The daemon runs the job only when it is told to.
JOB = """
schedule = "@yearly"
changes_schedule = "@yearly"
"""
# What runs in each round, in this order. The first run after one of everything gives back that one's memory.
RUNS = {"everything": [], "what changed, just after that": ["--changes"], "what changed": ["--changes"]}


class Directory:
    """A slapd whose people change."""

    def __init__(self, slapd):
        self.slapd, self.joined, self.renamed = slapd, 0, 0
        found = subprocess.run(
            ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", slapd.url, "-D", READER, "-w", PASSWORD, "-b", PEOPLE]
            + ["-E", "pr=1000/noprompt", "(objectClass=inetOrgPerson)", "1.1"],
            capture_output=True, text=True, check=True,
        )
        self.dns = [line.removeprefix("dn: ") for line in found.stdout.splitlines() if line.startswith("dn: ")]

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
            changes.append(f"dn: {dn}\nchangetype: modify\nreplace: sn\nsn: Renamed {self.renamed}\n")
        subprocess.run(
            ["ldapmodify", "-x", "-H", self.slapd.url, "-D", ADMIN, "-w", PASSWORD],
            input="\n".join(changes), text=True, check=True, stdout=subprocess.DEVNULL,
        )


class Daemon:
    """The daemon, which keeps its connections and its state open between runs."""

    def __init__(self, program, config, slapd):
        self.program, self.config, self.slapd = program, config, slapd
        self.process = subprocess.Popen([program, "--config", config, "daemon"], stderr=subprocess.DEVNULL)

    def __enter__(self):
        end = time.monotonic() + 30
        while self.command("status").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the daemon does not start")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def command(self, *arguments):
        return subprocess.run([self.program, "--config", self.config, *arguments], capture_output=True, text=True, check=False)

    def run(self, *options):
        """One run: its report, with the seconds, those of the daemon's processor time, and those of slapd's."""
        before = [processor_time(process) for process in (self.process, self.slapd.process)]
        began = time.perf_counter()
        ended = self.command("trigger", "--format", "json", *options)
        took = time.perf_counter() - began
        after = [processor_time(process) for process in (self.process, self.slapd.process)]
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout), (took, *(then - now for now, then in zip(before, after)))


def processor_time(process):
    """By the process's own clock, which `clock_getcpuclockid` names."""
    return time.clock_gettime((~process.pid << 3) | 2)


def changed(options, count, table):
    """What both kinds of runs take when ten people changed: the medians of each."""
    print(f"bench: {count} people, of whom {CHANGED} changed", flush=True)
    figures = {name: [] for name in RUNS}
    more = f'rootdn "{ADMIN}"\nrootpw {PASSWORD}\n{OVERLAY}'
    with Slapd(FOLDER, options.studio, count, more) as slapd, Studio(options.studio, count) as studio:
        path = measure.config(slapd, studio)
        path.write_text(f'control_socket = "{FOLDER}/control.sock"\n' + path.read_text() + JOB)
        directory = Directory(slapd)
        with Daemon(options.program, path, slapd) as daemon:
            daemon.run()
            for _ in range(ROUNDS):
                for name, option in RUNS.items():
                    directory.change()
                    report, taken = daemon.run(*option)
                    counts = report["counts"]
                    found = (counts["created"], counts["updated"], counts["deactivated"], report["directory"]["complete"])
                    assert found == (1, CHANGED - 2, 1, not option), (counts, report["warnings"])
                    figures[name].append(taken)
                    print("  {}: {:.3f} s, processor {:.3f} s, slapd's {:.3f} s".format(name, *taken), flush=True)
            nothing, taken = daemon.run("--changes")
            assert nothing is None, nothing
            print("  nothing changed: {:.3f} s, processor {:.3f} s, slapd's {:.3f} s".format(*taken), flush=True)
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    for name, (took, processor, slapds) in medians.items():
        table.figure(f"{count} people, {CHANGED} changed: {name}", took, "s")
        table.figure("  the daemon's processor time", processor, "s")
        table.figure("  slapd's processor time", slapds, "s")
    return medians.values()


def main():
    options, table = measure.begin()
    few, many = (500, 2_000) if options.short else (10_000, 100_000)
    *_, of_few = changed(options, few, table)
    whole, _, of_many = changed(options, many, table)
    table.target("changes / everything, seconds", of_many[0] / whole[0], "", 0.1)
    table.target("changes / everything, processor time", of_many[1] / whole[1], "", 0.1)
    table.target(f"changes of {many} / of {few}, seconds", of_many[0] / of_few[0], "", 1.5)
    table.target(f"changes of {many} / of {few}, processor time", of_many[1] / of_few[1], "", 1.5)
    table.end()


if __name__ == "__main__":
    main()
