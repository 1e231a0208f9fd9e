"""The figures of a benchmark, and whether the machine has the time to measure any."""

import datetime
import os
import pathlib
import platform
import sys
import time


class Table:
    """The figures, and whether they are as wanted."""

    def __init__(self, judged):
        self.judged = judged
        self.rows = []
        self.missed = False

    def figure(self, name, value, unit):
        self.rows.append((name, f"{value:.2f} {unit}", "", ""))

    def target(self, name, value, unit, most):
        self.judge(name, f"{value:.3f} {unit}".rstrip(), f"<= {most} {unit}".rstrip(), value <= most)

    def equal(self, name, value, wanted):
        """Something that is counted, and must be just that."""
        self.judge(name, str(value), f"= {wanted}", value == wanted)

    def judge(self, name, value, wanted, reached):
        verdict = "" if not self.judged else "PASS" if reached else "FAIL"
        self.missed |= verdict == "FAIL"
        self.rows.append((name, value, wanted, verdict))

    def end(self):
        """Prints everything, and ends the program."""
        print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}")
        self.show()
        sys.exit(1 if self.missed else 0)

    def show(self):
        rows = [("what", "measured", "target", ""), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def busy_share():
    """How much of the processors is in use, over one second."""

    def ticks():
        user, nice, system, idle, waiting, *rest = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        return idle + waiting, user + nice + system + idle + waiting + sum(rest)

    idle, whole = ticks()
    time.sleep(1)
    idle_then, whole_then = ticks()
    return 1 - (idle_then - idle) / max(whole_then - whole, 1)
