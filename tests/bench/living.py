"""A daemon that runs, looked at from outside; and the world in which it runs: the embedded directory and the ftrack stand-in, in a process of their own."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

LIMIT = 30


class World:
    """The servers; whatever happens there is told in words, as `world.rs` lists them."""

    def __init__(self, studio, count):
        self.process = subprocess.Popen([studio, "world", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.urls = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the studio has ended")
        return json.loads(line)

    def happens(self, what):
        """Lets something happen; answers with what the directory counts."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(LIMIT)


class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Daemon:
    """The program as the unit in systemd/ runs it: watched. Ends with the block that it is for."""

    def __init__(self, program, config, folder, port=None):
        self.socket = folder / "control.sock"
        self.port = port
        notify = folder / "notify"
        notify.unlink(missing_ok=True)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(notify))
        self.notified.settimeout(LIMIT)
        environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "30000000"}
        self.log = folder / "daemon.log"
        with self.log.open("wb") as log:
            began = time.perf_counter()
            self.process = subprocess.Popen([program, "--config", config, "daemon"], env=environment, stderr=log)
        try:
            while b"READY=1" not in self.notified.recv(65536).split(b"\n"):
                pass
        except TimeoutError:
            self.process.kill()
            raise SystemExit("the daemon does not get ready: " + self.log.read_text()) from None
        self.start_seconds = time.perf_counter() - began
        # What it says would fill the socket's queue otherwise.
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        self.notified.settimeout(None)
        while self.notified.recv(65536):
            pass

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT)
        # Ends the thread that listens, too.
        self.notified.shutdown(socket.SHUT_RDWR)
        self.notified.close()
        assert kind or status == 0, f"the daemon ended with {status}: {self.log.read_text()[-2000:]}"

    def ask(self, method, path):
        connection = Local(self.socket)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, (path, answer.status, body)
        return body

    def status(self):
        return json.loads(self.ask("GET", "/v1/status"))

    def run(self, job):
        """Triggers a run and waits for its report."""
        last = json.loads(self.ask("POST", f"/v1/jobs/{job}/trigger").splitlines()[-1])
        assert last["type"] == "finished", last
        return last["report"]

    def page(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        assert answer.status == 200, (path, answer.status, body)
        return body

    def metrics(self):
        """Every series of Prometheus's text format with its value."""
        lines = self.page("/metrics").splitlines()
        return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def reload(self):
        """SIGHUP, and waits until it was heard; says whether the configuration was taken."""

        def seen():
            config = self.status()["config"]
            return config["loaded_at"], config["reload_failures"]

        before = seen()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: seen() != before, "the reload")
        return seen()[0] != before[0]

    def is_in_touch(self):
        """Whether the first contact with each server was made."""
        contacts = self.status()["contacts"]
        return bool(contacts) and all(contact["since"] for contact in contacts)

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}")

    def memory(self):
        """Megabytes (10^6 bytes) that are resident: all, and those that no file stands behind."""
        return tuple(self.said(name) * 1024 / 1e6 for name in ("VmRSS", "RssAnon"))

    def said(self, name, of="status"):
        """A number of /proc/PID/status."""
        [line] = [line for line in self.proc(of).read_text().splitlines() if line.startswith(name + ":")]
        return int(line.split()[1])

    def files(self):
        """What the open file descriptors are."""
        names = []
        for descriptor in self.proc("fd").iterdir():
            try:
                names.append(os.readlink(descriptor))
            except FileNotFoundError:
                # Closed since.
                pass
        return names

    def ticks(self):
        """utime and stime, in seconds."""
        fields = self.proc("stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def processor_seconds(self):
        """The same, by the process's own clock, which counts nanoseconds (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def switches(self):
        """How often its threads began to wait for something."""
        return sum(self.said("voluntary_ctxt_switches", f"task/{task.name}/status") for task in self.proc("task").iterdir())

    def settle(self):
        """Waits until the threads that have nothing to do any more are gone: tokio keeps those that may block for ten seconds."""
        threads, since, end = None, 0, time.monotonic() + LIMIT
        while time.monotonic() < end:
            now = self.said("Threads")
            if now != threads:
                threads, since = now, time.monotonic()
            if time.monotonic() - since > 11:
                return
            time.sleep(0.2)
        raise SystemExit(f"the daemon does not come to rest; it has {threads} threads")


def wait_until(fits, what):
    end = time.monotonic() + LIMIT
    while not fits():
        if time.monotonic() > end:
            raise SystemExit(f"{what} does not come about")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
