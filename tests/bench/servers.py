"""The servers of the benchmark: a real slapd, and the ftrack stand-in in a process of its own."""

import shutil
import signal
import socket
import subprocess
import time

SUFFIX = "dc=studio,dc=test"
PEOPLE = "ou=people," + SUFFIX
READER = "cn=ldap-sync,ou=services," + SUFFIX
PASSWORD = "directory-secret"
API_USER = "ldap-sync"
API_KEY = "demo-key"

SLAPD_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
pidfile {folder}/slapd.pid
sizelimit unlimited
database mdb
suffix "{suffix}"
directory {folder}/db
maxsize 4294967296
dbnosync
index objectClass,uid,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


class Slapd:
    """A private OpenLDAP server with so many people, on a free port, and with more lines in its configuration."""

    def __init__(self, folder, studio, count, more=""):
        self.folder = folder / "slapd"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "db").mkdir(parents=True)
        conf = self.folder / "slapd.conf"
        conf.write_text(SLAPD_CONF.format(folder=self.folder, suffix=SUFFIX) + more)
        people = self.folder / "people.ldif"
        with people.open("wb") as out:
            subprocess.run([studio, "ldif", str(count)], stdout=out, check=True)
        subprocess.run(["slapadd", "-q", "-f", conf, "-b", SUFFIX, "-l", people], check=True)
        people.unlink()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"ldap://127.0.0.1:{port}"
        with (self.folder / "slapd.log").open("wb") as log:
            self.process = subprocess.Popen(["slapd", "-f", conf, "-h", self.url, "-d", "none"], stderr=log, stdout=log)
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("slapd does not start: " + (self.folder / "slapd.log").read_text()) from None
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        shutil.rmtree(self.folder)


class Studio:
    """The ftrack stand-in, with so many linked users, or as `studio` says."""

    def __init__(self, studio, *what):
        arguments = ["serve", str(what[0])] if isinstance(what[0], int) else list(what)
        self.process = subprocess.Popen([studio, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit("the ftrack stand-in does not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
