"""Runs a command, and says in the file descriptor that comes first: its exit status, seconds, those of the processor, and the most memory that it had, in bytes.

A process of its own, since the memory of the process that starts another counts as that one's (ru_maxrss, see getrusage(2)): this one has less than any that is measured.
"""

import os
import sys
import time

began = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
took = time.perf_counter() - began
os.write(
    int(sys.argv[1]),
    f"{os.waitstatus_to_exitcode(status)} {took} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss * 1024}".encode(),
)
