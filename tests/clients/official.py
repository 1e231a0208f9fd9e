"""Runs the vendor's Python client against the server at FTRACK_SERVER; any difference from what ftrack does is an error."""

import hashlib
import json
import os
import tempfile
import uuid

import ftrack_api
import ftrack_api.exception
import requests

SERVER = os.environ["FTRACK_SERVER"]
CREDENTIALS = {"api_user": "ldap-sync", "api_key": "demo-key"}


def connect(**options):
    return ftrack_api.Session(SERVER, auto_connect_event_hub=False, schema_cache_path=False, **CREDENTIALS, **options)


def schema_hash_is_what_the_client_computes():
    headers = {"ftrack-user": "ldap-sync", "ftrack-api-key": "demo-key"}
    body = [{"action": "query_server_information"}, {"action": "query_schemas"}]
    information, schemas = requests.post(SERVER + "/api", json=body, headers=headers, timeout=30).json()
    expected = hashlib.md5(json.dumps(schemas, sort_keys=True).encode()).hexdigest()
    assert information["schema_hash"] == expected, expected


def wrong_key_is_refused():
    for strict in (False, True):
        try:
            ftrack_api.Session(SERVER, api_user="ldap-sync", api_key="wrong", auto_connect_event_hub=False, strict_api=strict)
        except ftrack_api.exception.ServerError as error:
            assert "InvalidCredentialsError" in str(error), error
        else:
            raise AssertionError("a wrong key was accepted")


def queries(session):
    users = session.query("select username, is_active from User order by username").all()
    names = [user["username"] for user in users]
    assert len(names) == 1202 and names == sorted(names), len(names)
    assert session.query('User where username is "artist0007"').one()["email"] == "artist0007@studio.test"
    assert session.query("User where username is artist0007 and is_active is True").first()["first_name"] == "Artist"
    assert len(session.query('User where username like "artist000%"').all()) == 10
    assert len(session.query('User where memberships.group.name is "Lighting"').all()) == 12
    assert len(session.query('User where memberships any (group has (name is "Lighting")) and username not_in ("artist0000")').all()) == 11
    assert len(session.query('User where id in (select user_id from Membership where group.name is "Lighting")').all()) == 12
    first = session.query("select memberships.group.name, user_type.name from User where username is artist0100").one()
    assert [membership["group"]["name"] for membership in first["memberships"]] == ["Lighting"]
    assert first["user_type"]["name"] == "ftrack"
    try:
        session.query("select nothing from User").all()
    except ftrack_api.exception.ServerError as error:
        assert "ValidationError" in str(error), error
    else:
        raise AssertionError("an unknown attribute was accepted")


def create_update_delete(session):
    bob = session.create("User", {"username": "bob", "first_name": "Bob", "last_name": "B", "email": "bob@studio.test", "is_active": True})
    session.commit()
    bob["email"], bob["is_active"] = None, False
    session.commit()
    fresh = connect()
    found = fresh.query('User where username is "bob"').one()
    assert (found["id"], found["email"], found["is_active"], found["last_name"]) == (bob["id"], None, False, "B")
    quiet = session.create("User")
    session.commit()
    assert quiet["username"] and quiet["first_name"] == "first" and quiet["is_active"] is False
    assert quiet["user_type"]["name"] == "ftrack"
    session.delete(quiet)
    session.commit()
    assert session.query('User where id is "%s"' % quiet["id"]).first() is None
    ensured = session.ensure("User", {"username": "bob", "first_name": 'Zoë "Q" \\'}, ["username"])
    assert ensured["id"] == bob["id"]
    assert connect().get("User", bob["id"])["first_name"] == 'Zoë "Q" \\'
    return bob


def metadata(session, bob):
    bob["metadata"]["directory"] = "abc"
    session.commit()
    assert dict(connect().get("User", bob["id"])["metadata"]) == {"directory": "abc"}
    bob["metadata"]["directory"] = "def"
    session.commit()
    fresh = connect()
    assert fresh.query('select metadata.key, metadata.value from User where username is "bob"').one()["metadata"]["directory"] == "def"
    assert len(fresh.query('Metadata where parent_type is "User" and key is "directory"').all()) == 1
    del bob["metadata"]["directory"]
    session.commit()
    assert dict(connect().get("User", bob["id"])["metadata"]) == {}


def memberships(session, bob):
    group = session.create("Group", {"name": "Compositing", "local": False})
    membership = session.create("Membership", {"user": bob, "group": group})
    session.commit()
    fresh = connect()
    names = [row["group"]["name"] for row in fresh.get("User", bob["id"])["memberships"]]
    assert names == ["Compositing"], names
    session.delete(membership)
    session.commit()
    assert len(connect().get("User", bob["id"])["memberships"]) == 0


def refused(session, what, *operations):
    try:
        session.call(list(operations)) if operations else session.commit()
    except ftrack_api.exception.ServerError as error:
        session.rollback()
        return str(error)
    raise AssertionError(what)


def nested_groups(session, bob):
    departments = session.create("Group", {"name": "Departments", "local": False})
    light = session.create("Group", {"name": "Light", "local": False, "parent": departments})
    own = {"id": str(uuid.uuid4()), "user_id": bob["id"], "group_id": light["id"]}
    session.create("Membership", own)
    session.commit()
    rows = connect().query("select id, name, local, parent_id from Group order by id").all()
    found = [row for row in rows if row["name"] == "Light"]
    assert [(row["parent_id"], row["local"]) for row in found] == [(departments["id"], False)], found
    rows = connect().query('select id, user_id, group_id from Membership where group_id in ("%s") and user_id in ("%s")' % (light["id"], bob["id"])).all()
    assert [row["id"] for row in rows] == [own["id"]], rows
    session.create("Membership", {"user_id": bob["id"], "group_id": str(uuid.uuid4())})
    refused(session, "a membership of no group was accepted")
    session.delete(session.get("Membership", own["id"]))
    session.commit()
    assert len(connect().get("User", bob["id"])["memberships"]) == 0


def roles_for_projects(session, bob):
    project = session.create("Project", {"name": "show_z", "full_name": "Show Z"})
    session.commit()
    shown = connect().query('select id, name, status, is_private from Project where name is "show_z"').one()
    assert (shown["status"], shown["is_private"]) == ("active", False)
    role = session.query('SecurityRole where name is "Project Manager"').one()
    operation = {"user_id": bob["id"], "role_id": role["id"]}
    session.call([dict(operation, action="add_user_security_role")])
    grant = dict(operation, action="grant_user_security_role_project", project_id=project["id"])
    session.call([grant])
    held = connect().query('select is_all_open_projects, user_security_role_projects.project.name from UserSecurityRole where user_id is "%s"' % bob["id"]).one()
    assert held["is_all_open_projects"] is False
    assert [row["project"]["name"] for row in held["user_security_role_projects"]] == ["show_z"]
    assert "ValidationError" in refused(session, "a project was granted twice", grant)
    revoke = dict(operation, action="revoke_user_security_role_project", project_id=project["id"])
    session.call([revoke])
    assert "ValidationError" in refused(session, "a project was revoked twice", revoke)
    session.call([dict(operation, action="remove_user_security_role")])


def custom_attributes(session, bob):
    bob["custom_attributes"]["employee_number"] = "42"
    session.commit()
    assert connect().get("User", bob["id"])["custom_attributes"]["employee_number"] == "42"
    carl = session.create("User", {"username": "carl"})
    carl["custom_attributes"]["employee_number"] = "43"
    session.commit()
    assert connect().get("User", carl["id"])["custom_attributes"]["employee_number"] == "43"
    carl["custom_attributes"]["employee_number"] = 44
    try:
        session.commit()
    except ftrack_api.exception.ServerError as error:
        assert 'Custom attribute value for "employee_number" must be of type text' in str(error), error
        session.rollback()
    else:
        raise AssertionError("a number was taken for a text")


def custom_attributes_of_each_type(session, bob):
    configuration = session.query('CustomAttributeConfiguration where key is "skills"').one()
    assert configuration["type"]["name"] == "enumerator" and configuration["entity_type"] == "user"
    config = json.loads(configuration["config"])
    assert config["multiSelect"] is True and [choice["value"] for choice in json.loads(config["data"])] == ["paint", "rig"]
    values = {"skills": ["rig", "paint"], "floor": 4, "staff": True}
    for key, value in values.items():
        bob["custom_attributes"][key] = value
    session.commit()
    shown = connect().get("User", bob["id"])["custom_attributes"]
    assert {key: shown[key] for key in values} == values, dict(shown)


def thumbnail(session, bob):
    with tempfile.NamedTemporaryFile(suffix=".jpg") as picture:
        picture.write(b"\xff\xd8\xff\xe0 a picture")
        picture.flush()
        component = bob.create_thumbnail(picture.name)
    session.commit()
    fresh = connect()
    assert fresh.get("User", bob["id"])["thumbnail_id"] == component["id"]
    kept = fresh.get("FileComponent", component["id"])
    assert (kept["name"], kept["file_type"], kept["size"]) == ("thumbnail", ".jpg", 14), dict(kept)
    locations = fresh.query('ComponentLocation where component_id is "%s"' % component["id"]).all()
    assert [location["location_id"] for location in locations] == [ftrack_api.symbol.SERVER_LOCATION_ID]


def duplicate_is_refused_and_rolled_back(session):
    session.create("User", {"username": "dora"})
    session.create("User", {"username": "bob"})
    try:
        session.commit()
    except ftrack_api.exception.ServerError as error:
        assert "DuplicateEntryError" in str(error), error
        session.rollback()
    else:
        raise AssertionError("a second user named bob was accepted")
    assert connect().query('User where username in ("dora", "bob")').one()["username"] == "bob"


def actions(session, bob):
    job = session.call([{"action": "delayed_job", "job_type": ftrack_api.symbol.JOB_SYNC_USERS_LDAP.name}])[0]["data"]
    assert job["status"] == "queued"
    statuses = [connect().query('select status from Job where id is "%s"' % job["id"]).one()["status"] for _ in range(3)]
    assert statuses == ["running", "done", "done"], statuses
    ended = connect().query('select status, data, finished_at, type from Job where id is "%s"' % job["id"]).one()
    assert ended["data"] and ended["finished_at"] is not None and ended["type"], ended
    session.send_user_invite(bob)
    assert session.reset_remote("api_key", bob)["api_key"]
    role = session.query('SecurityRole where name is "Project Manager"').one()
    operation = {"user_id": bob["id"], "role_id": role["id"]}
    session.call([dict(operation, action="add_user_security_role")])
    session.call([dict(operation, action="grant_user_security_role_project", all_open_projects=True)])
    held = connect().query('select is_all_open_projects, security_role.name from UserSecurityRole where user_id is "%s"' % bob["id"]).one()
    assert held["is_all_open_projects"] is True and held["security_role"]["name"] == "Project Manager"
    session.call([dict(operation, action="remove_user_security_role")])
    try:
        session.call([dict(operation, action="remove_user_security_role", unused=str(uuid.uuid4()))])
    except ftrack_api.exception.ServerError as error:
        assert "ValidationError" in str(error), error
    else:
        raise AssertionError("a role was removed twice")


def work(session, bob):
    """What somebody carries, as the vendor's documentation queries it."""
    project = session.query("Project").first()
    task = session.create("Task", {"name": "light_sh010", "parent": project, "project": project})
    assignment = session.create("Appointment", {"context": task, "resource": bob, "type": "assignment"})
    session.create("Appointment", {"context": project, "resource": bob, "type": "allocation"})
    session.create("Manager", {"context": project, "user": bob})
    session.commit()
    bob.start_timer(context=task, name="lighting")
    fresh = connect()
    mine = 'Task where assignments any (resource_id in ("%s")) and status.state.short is_not "DONE"' % bob["id"]
    found = fresh.query("select name, project.name, assignments.resource_id from " + mine).one()
    assert (found["name"], found["project"]["name"]) == ("light_sh010", "demo")
    assert [assigned["resource_id"] for assigned in found["assignments"]] == [bob["id"]]
    timer = fresh.query('select name, context.name, context.project_id from Timer where user_id is "%s"' % bob["id"]).one()
    assert (timer["name"], timer["context"]["name"], timer["context"]["project_id"]) == ("lighting", "light_sh010", project["id"])
    managed = fresh.query('select name, managers.user_id from Project where managers any (user_id in ("%s"))' % bob["id"]).one()
    assert [manager["user_id"] for manager in managed["managers"]] == [bob["id"]]
    assert len(fresh.query('ApiKey where resource_id is "%s"' % bob["id"]).all()) == 0
    task["status"] = session.query('Status where state.short is "DONE"').first()
    session.commit()
    assert len(connect().query(mine).all()) == 0
    session.delete(assignment)
    session.commit()
    assert len(connect().query('Task where assignments any (resource_id is "%s")' % bob["id"]).all()) == 0


def licence(session):
    assert "license" not in session.server_information, session.server_information


def main():
    schema_hash_is_what_the_client_computes()
    wrong_key_is_refused()
    for strict in (False, True):
        queries(connect(strict_api=strict))
    session = connect()
    bob = create_update_delete(session)
    metadata(session, bob)
    memberships(session, bob)
    nested_groups(session, bob)
    roles_for_projects(session, bob)
    custom_attributes(session, bob)
    custom_attributes_of_each_type(session, bob)
    thumbnail(session, bob)
    duplicate_is_refused_and_rolled_back(session)
    actions(session, bob)
    work(session, bob)
    licence(session)
    print("the Python client is satisfied")


main()
