"""Processes: those that are measured to their end, and those that are asked for something, each for a limited time."""

import collections
import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# The most seconds that a command may take, that a server may take to start or stop, and that something may take to come about.
LIMIT, SERVER_LIMIT, WAIT_LIMIT = 1800, 600, 60

# Seconds, those of the processor, and the most memory (MB, 10^6 bytes).
Usage = collections.namedtuple("Usage", ["seconds", "processor", "memory"])


class Failed(Exception):
    """Something that is measured does not work."""


def run(command, output=None, limit=LIMIT, statuses=(0,)):
    """Runs a command to its end; its standard output is left in the file `output`, and its standard error in `last.log` of the current folder's target/bench."""
    log = pathlib.Path("target/bench/last.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("wb"))
        out = stack.enter_context(open(output, "wb")) if output else subprocess.DEVNULL
        answer = stack.enter_context(os.fdopen(reading))
        command = [str(part) for part in command]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(HERE / "measured.py"), str(writing), *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=errors, pass_fds=[writing], start_new_session=True,
        )
        os.close(writing)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"{command[0]} has not ended after {limit} s") from None
        finally:
            if process.poll() is None:
                # The command, too.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        figures = answer.read().split()
    status = int(figures[0]) if figures else process.returncode
    if status not in statuses:
        raise Failed(f"{' '.join(command[:4])}… ended with {status}: {log.read_text(errors='replace')[-800:]}")
    took, processor, memory = map(float, figures[1:])
    return Usage(took, processor, memory / 1e6)


def line(process, what, limit=SERVER_LIMIT):
    """The next line of what a process prints, which prints nothing that nobody asked for."""
    ready, _, _ = select.select([process.stdout], [], [], limit)
    if not ready:
        raise Failed(f"{what} does not answer within {limit} s")
    answer = process.stdout.readline().strip()
    if not answer:
        raise Failed(f"{what} has ended")
    return answer


def ask(process, what, question=""):
    """Says a line to a process, and returns the one that it answers."""
    process.stdin.write(question + "\n")
    process.stdin.flush()
    return line(process, what)


def end(process, how=None):
    """Ends a process, by its standard input or by that signal; by force if it does not end."""
    try:
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
        process.wait(WAIT_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


def wait_until(fits, what, limit=WAIT_LIMIT):
    until = time.monotonic() + limit
    while not fits():
        if time.monotonic() > until:
            raise Failed(f"{what}: not within {limit} s")
        time.sleep(0.01)


def processor_time(process):
    """The seconds of a process, by its own clock, which counts nanoseconds (clock_getcpuclockid(3))."""
    return time.clock_gettime((~process.pid << 3) | 2)


def status_of(process):
    """The numbers of /proc/PID/status."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    fields = (line.split() for line in lines)
    return {field[0].rstrip(":"): int(field[1]) for field in fields if len(field) > 1 and field[1].isdigit()}


def memory(process):
    """Megabytes that are resident: all, those that no file stands behind, and those of the program's own file."""
    status = status_of(process)
    program, of_program = os.readlink(f"/proc/{process.pid}/exe"), 0
    is_of_program = False
    for entry in pathlib.Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        fields = entry.split()
        if not fields[0].endswith(":"):
            is_of_program = fields[-1] == program
        elif is_of_program and fields[0] == "Rss:":
            of_program += int(fields[1])
        elif is_of_program and fields[0] == "Anonymous:":
            of_program -= int(fields[1])
    return tuple(kibibytes * 1024 / 1e6 for kibibytes in (status["VmRSS"], status["RssAnon"], of_program))
