"""A daemon that runs, looked at from outside."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from processes import WAIT_LIMIT, Failed, end, memory, processor_time, status_of, wait_until

# The most seconds until a run has ended.
RUN_LIMIT = 300


class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=RUN_LIMIT)
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
        self.notified.settimeout(WAIT_LIMIT)
        environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "30000000"}
        self.log = folder / "daemon.log"
        with self.log.open("wb") as log:
            began = time.perf_counter()
            self.process = subprocess.Popen([program, "--config", config, "daemon"], env=environment, stderr=log)
        try:
            while b"READY=1" not in self.notified.recv(65536).split(b"\n"):
                pass
        except TimeoutError:
            end(self.process, signal.SIGKILL)
            raise Failed("the daemon does not get ready: " + self.log.read_text()) from None
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
        end(self.process, signal.SIGTERM)
        status = self.process.returncode
        # Ends the thread that listens, too.
        self.notified.shutdown(socket.SHUT_RDWR)
        self.notified.close()
        assert kind or status == 0, f"the daemon ended with {status}: {self.log.read_text()[-2000:]}"

    def ask(self, method, path, body=None):
        connection = Local(self.socket)
        connection.request(method, path, body and json.dumps(body))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, (path, answer.status, body)
        return body

    def status(self):
        return json.loads(self.ask("GET", "/v1/status"))

    def run(self, job="artists", **wish):
        """Triggers a run and waits for its report; there is none if it was to read what changed, and nothing had."""
        last = json.loads(self.ask("POST", f"/v1/jobs/{job}/trigger", wish).splitlines()[-1])
        if last["type"] == "nothing_changed":
            return None
        assert last["type"] == "finished", last
        return last["report"]

    def is_watching(self):
        [job] = self.status()["jobs"]
        return job["watch"]["watching"]

    def page(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_LIMIT)
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
        return memory(self.process)

    def threads(self):
        return status_of(self.process)["Threads"]

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
        return processor_time(self.process)

    def switches(self):
        """How often its threads began to wait for something."""
        name = "voluntary_ctxt_switches:"
        texts = [(task / "status").read_text().split() for task in self.proc("task").iterdir()]
        return sum(int(words[words.index(name) + 1]) for words in texts)

    def settle(self):
        """Waits until the threads that have nothing to do any more are gone: tokio keeps those that may block for ten seconds."""
        seen = [None, 0]

        def rests():
            if self.threads() != seen[0]:
                seen[:] = self.threads(), time.monotonic()
            return time.monotonic() - seen[1] > 11

        wait_until(rests, "a daemon at rest")
