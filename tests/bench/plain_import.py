"""What a studio would write itself: reads people from LDAP and creates an ftrack user for each, committing in batches of 500."""

import json
import sys

import ftrack_api
import ldap3

from servers import API_KEY, API_USER, PASSWORD, PEOPLE, READER, SUFFIX

BATCH = 500


def main(ldap_url, ftrack_url):
    directory = ldap3.Connection(ldap3.Server(ldap_url), READER, PASSWORD, auto_bind=True)
    directory.search(SUFFIX, "(objectClass=*)", ldap3.BASE, attributes=["entryUUID"])
    directory_id = directory.entries[0]["entryUUID"].value
    entries = directory.extend.standard.paged_search(
        PEOPLE,
        "(objectClass=inetOrgPerson)",
        attributes=["uid", "mail", "givenName", "sn", "entryUUID"],
        paged_size=1000,
        generator=True,
    )
    session = ftrack_api.Session(ftrack_url, API_KEY, API_USER, auto_connect_event_hub=False, schema_cache_path=False)
    known = {user["username"] for user in session.query("select username from User")}
    waiting = 0
    for entry in entries:
        values = entry["attributes"]
        username = values["uid"][0]
        if username in known:
            continue
        user = session.create(
            "User",
            {
                "username": username,
                "email": values["mail"][0],
                "first_name": values["givenName"][0],
                "last_name": values["sn"][0],
                "is_active": True,
            },
        )
        link = {
            "version": 2,
            "user": user["id"],
            "source": "artists",
            "directory": directory_id,
            "id": values["entryUUID"],
            "attribute": "entryUUID",
            "activity": "settled",
        }
        session.create(
            "Metadata",
            {"parent_id": user["id"], "parent_type": "User", "key": "ftrack-ldap-sync", "value": json.dumps(link)},
        )
        waiting += 1
        if waiting == BATCH:
            session.commit()
            waiting = 0
    session.commit()


main(*sys.argv[1:])
