"""The servers of the benchmark: a real slapd, the ftrack stand-in in a process of its own, and either of them far away."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
from urllib.parse import urlsplit

from processes import SERVER_LIMIT, Failed, ask, end, line, wait_until

FOLDER = pathlib.Path("target/bench").resolve()
SUFFIX = "dc=studio,dc=test"
PEOPLE = "ou=people," + SUFFIX
READER = "cn=ldap-sync,ou=services," + SUFFIX
ADMIN = "cn=admin," + SUFFIX
PASSWORD = "directory-secret"
API_USER = "ldap-sync"
API_KEY = "demo-key"
PEOPLE_FILTER = "(objectClass=inetOrgPerson)"

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
rootdn "{admin}"
rootpw {password}
directory {folder}/db
maxsize 4294967296
dbnosync
index objectClass,uid,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""
# What a slapd tells of changes by.
SYNCPROV = """
index entryCSN eq
overlay syncprov
syncprov-sessionlog 10000
"""


class Slapd:
    """A private OpenLDAP server with so many people, on a free port, and with more lines in its configuration."""

    def __init__(self, studio, count, more=""):
        self.folder = FOLDER / "slapd"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "db").mkdir(parents=True)
        conf = self.folder / "slapd.conf"
        conf.write_text(SLAPD_CONF.format(folder=self.folder, suffix=SUFFIX, admin=ADMIN, password=PASSWORD) + more)
        people = self.folder / "people.ldif"
        with people.open("wb") as out:
            subprocess.run([studio, "ldif", str(count)], stdout=out, check=True, timeout=SERVER_LIMIT)
        subprocess.run(["slapadd", "-q", "-f", conf, "-b", SUFFIX, "-l", people], check=True, timeout=SERVER_LIMIT)
        people.unlink()
        port = free_port()
        self.url = f"ldap://127.0.0.1:{port}"
        with (self.folder / "slapd.log").open("wb") as log:
            self.process = subprocess.Popen(["slapd", "-f", conf, "-h", self.url, "-d", "none"], stderr=log, stdout=log)

        def answers():
            if self.process.poll() is not None:
                raise Failed("slapd does not start: " + (self.folder / "slapd.log").read_text())
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
            return True

        try:
            wait_until(answers, "slapd")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process, signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def search(self, *arguments, base=PEOPLE):
        """The lines of an answer."""
        command = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", self.url, "-D", READER, "-w", PASSWORD, "-b", base]
        found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True, timeout=SERVER_LIMIT)
        return found.stdout.splitlines()

    def dns(self):
        """The DNs of all people."""
        lines = self.search("-E", "pr=1000/noprompt", PEOPLE_FILTER, "1.1")
        return [line.removeprefix("dn: ") for line in lines if line.startswith("dn: ")]

    def modify(self, *changes):
        """Makes these changes, each as LDIF."""
        command = ["ldapmodify", "-x", "-H", self.url, "-D", ADMIN, "-w", PASSWORD]
        subprocess.run(command, input="\n".join(changes), text=True, check=True, stdout=subprocess.DEVNULL, timeout=SERVER_LIMIT)

    def rename(self, dn, name, attribute="sn"):
        """The LDIF of another name for somebody."""
        return f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {name}\n"


class Served:
    """A server by the studio of the benchmark, which prints where it is, and answers lines with lines."""

    def __init__(self, studio, *what):
        self.what = "the server of " + " ".join(map(str, what))
        self.process = subprocess.Popen([studio, *map(str, what)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.at = line(self.process, self.what)
        except BaseException:
            end(self.process)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)

    def ask(self, question=""):
        return json.loads(ask(self.process, self.what, question))


class Studio(Served):
    """The ftrack stand-in: with so many linked users (`serve`), the same with its pages made beforehand (`recorded`), or as `studio` says."""

    def __init__(self, studio, *what):
        super().__init__(studio, *what)
        self.url = self.at

    def asked(self):
        """The bodies of the calls to one with its pages made beforehand, since this was asked last."""
        return self.ask()["bodies"]


class Away(Served):
    """A server as if it were so many milliseconds away."""

    def __init__(self, studio, server, round_trip):
        there = urlsplit(server.url)
        super().__init__(studio, "away", there.port, round_trip)
        self.url = f"{there.scheme}://127.0.0.1:{self.at}"

    def counts(self):
        """Connections, and bytes to and from the server, from the beginning on."""
        return self.ask()

    def passed_since(self, before):
        """The same since they were so many."""
        return {name: count - before[name] for name, count in self.counts().items()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
