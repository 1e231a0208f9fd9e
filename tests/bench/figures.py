"""The figures of a benchmark, and whether the machine has the time to measure any."""

import datetime
import os
import pathlib
import platform
import statistics
import time


class Table:
    """The figures, and whether they are as wanted."""

    def __init__(self, judged):
        self.judged = judged
        self.rows = []
        self.missed = False

    def figure(self, name, value, unit=""):
        self.rows.append((name, number(value, unit), "", ""))

    def most(self, name, value, unit, goal):
        """Something that is to be no more than that."""
        self.judge(name, number(value, unit), f"<= {number(goal, unit)}", value <= goal)

    def judged_by(self, goal, name, value, unit=""):
        """A figure that has a goal here, or none."""
        if goal is None:
            self.figure(name, value, unit)
        else:
            self.most(name, value, unit, goal)

    def equal(self, name, value, wanted):
        """Something that is counted, and must be just that."""
        self.judge(name, str(value), f"= {wanted}", value == wanted)

    def judge(self, name, value, wanted, reached):
        verdict = "" if not self.judged else "reached" if reached else "missed"
        self.missed |= verdict == "missed"
        self.rows.append((name, value, wanted, verdict))

    def failed(self, part, error):
        """A part that could not be measured; what it measured before stays."""
        self.missed = True
        # A wide row would make all of them as wide.
        self.rows.append((f"{part}: {error}"[:110], "", "", "FAILED"))

    def show(self):
        print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}")
        rows = [("what", "measured", "goal", ""), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), flush=True)


def number(value, unit):
    """With as many digits as say something."""
    digits = 0 if isinstance(value, int) or abs(value) >= 1000 else 1 if abs(value) >= 20 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{digits}f} {unit}".rstrip()


def middle(usages):
    """The median of each figure of several runs."""
    return type(usages[0])(*map(statistics.median, zip(*usages)))


def busy_share():
    """How much of the processors is in use, over one second."""

    def ticks():
        user, nice, system, idle, waiting, *rest = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        return idle + waiting, user + nice + system + idle + waiting + sum(rest)

    idle, whole = ticks()
    time.sleep(1)
    idle_then, whole_then = ticks()
    return 1 - (idle_then - idle) / max(whole_then - whole, 1)
