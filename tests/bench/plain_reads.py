"""Plain paged reads of ftrack: the queries that the program asks, one page after the other, unpacked and looked at no further."""

import http.client
import json
import urllib.parse
import zlib

from servers import API_KEY, API_USER

PAGE = 500
USERS = "select id, username, first_name, last_name, email, is_active, user_type_id from User order by id"
LINKS = 'select parent_id, value from Metadata where key is "ftrack-ldap-sync" order by parent_id'
SMALL = [
    "select id, name from UserType order by id",
    "select id, name from SecurityRole order by id",
    "select id, user_id from UserSecurityRole order by id",
]
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "ftrack-user": API_USER,
    "ftrack-api-key": API_KEY,
    "ftrack-strict-api": "true",
    "ftrack-api-options": "strict:1;denormalize:1",
}


class Reader:
    """One connection to ftrack, which is kept."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)

    def page(self, query, offset):
        body = json.dumps([{"action": "query", "expression": f"{query} offset {offset} limit {PAGE}"}]).encode()
        self.connection.request("POST", "/api", body, HEADERS)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return zlib.decompress(body, 47) if answer.headers["Content-Encoding"] == "gzip" else body


def read_all(url, count):
    """Reads everything about so many users, as a sync does; the number is known, so that no page has to be looked into but the last."""
    reader = Reader(url)
    for query in SMALL:
        reader.page(query, 0)
    for query, rows in ((USERS, count + 2), (LINKS, count)):  # two users are ftrack's own
        # A full page does not tell that it is the last.
        for offset in range(0, rows + 1, PAGE):
            page = reader.page(query, offset)
        assert json.loads(page)[0]["metadata"]["next"]["offset"] is None, "there are more rows than expected"


def users(url):
    """Every user by login, with what a sync writes; the ids of users are their makers' own."""
    reader = Reader(url)

    def rows(query):
        offset = 0
        while offset is not None:
            [answer] = json.loads(reader.page(query, offset))
            yield from answer["data"]
            offset = answer["metadata"]["next"]["offset"]

    def link(row):
        link = json.loads(row["value"])
        assert link.pop("user") == row["parent_id"]
        # The run that made it, which a script does not say.
        link.pop("by", None)
        return link

    links = {row["parent_id"]: link(row) for row in rows(LINKS)}
    fields = ("first_name", "last_name", "email", "is_active", "user_type_id")
    return {row["username"]: ([row.get(field) for field in fields], links.get(row["id"])) for row in rows(USERS)}
