"""Reads of both servers by others than the program: how fast they can be read at all, and what is there."""

import http.client
import json
import zlib
from urllib.parse import urlsplit

from processes import run
from servers import API_KEY, API_USER, FOLDER, PASSWORD, PEOPLE, PEOPLE_FILTER, READER

# What the program asks for: what is mapped, and whatever may be the id.
ATTRIBUTES = ["givenName", "mail", "sn", "uid", "entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID"]
# Calls in flight, as many as the program's (`ftrack.connections`).
CALLS = 8
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "ftrack-user": API_USER,
    "ftrack-api-key": API_KEY,
    "ftrack-strict-api": "true",
    "ftrack-api-options": "strict:1;denormalize:1",
}
USERS = "select id, username, first_name, last_name, email, is_active, user_type_id from User order by id"
LINKS = 'select parent_id, value from Metadata where key is "ftrack-ldap-sync" order by parent_id'


def ldapsearch(url, page, base=PEOPLE, what=(PEOPLE_FILTER, *ATTRIBUTES)):
    """Reads people as a sync does, with pages of so many."""
    command = ["ldapsearch", "-x", "-LLL", "-H", url, "-D", READER, "-w", PASSWORD, "-b", base]
    return run([*command, "-E", f"pr={page}/noprompt", *what])


def plain(url, bodies):
    """Makes these calls to ftrack, so many at a time, and looks at no answer."""

    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    headers = "".join(f"header = {quoted(f'{name}: {value}')}\n" for name, value in HEADERS.items())
    call = f"{headers}url = {quoted(url + '/api')}\ncompressed\nhttp1.1\nfail\noutput = /dev/null\n"
    file = FOLDER / "calls"
    file.write_text("next\n".join(f"{call}data-binary = {quoted(body)}\n" for body in bodies))
    return run(["curl", "--silent", "--show-error", "--parallel", "--parallel-max", CALLS, "--config", file])


class Reader:
    """One connection to ftrack, which is kept."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def page(self, query, offset):
        body = json.dumps([{"action": "query", "expression": f"{query} offset {offset} limit 500"}]).encode()
        self.connection.request("POST", "/api", body, HEADERS | {"Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        [answer] = json.loads(zlib.decompress(body, 47) if answer.headers["Content-Encoding"] == "gzip" else body)
        return answer

    def rows(self, query):
        offset = 0
        while offset is not None:
            answer = self.page(query, offset)
            yield from answer["data"]
            offset = answer["metadata"]["next"]["offset"]


def users(url):
    """Every user by login, with what a sync writes; the ids of users are their makers' own."""
    reader = Reader(url)

    def link(row):
        link = json.loads(row["value"])
        assert link.pop("user") == row["parent_id"]
        # The run that made it, which a script does not say.
        link.pop("by", None)
        return link

    links = {row["parent_id"]: link(row) for row in reader.rows(LINKS)}
    fields = ("first_name", "last_name", "email", "is_active", "user_type_id")
    return {row["username"]: ([row.get(field) for field in fields], links.get(row["id"])) for row in reader.rows(USERS)}
