"""The job that is measured: its configuration, and syncs of it."""

import json
import shutil

from processes import Failed, run
from servers import API_KEY, API_USER, FOLDER, PASSWORD, PEOPLE, PEOPLE_FILTER, READER

CONFIG = """
state_dir = "{state}"
control_socket = "{folder}/control.sock"
{top}
[ftrack]
server = "{ftrack}"
api_user = "{api_user}"
api_key_file = "ftrack-api-key"
{of_ftrack}
[directories.studio]
urls = ["{ldap}"]
bind_dn = "{reader}"
bind_password_file = "ldap-password"
{of_directory}
"""
JOB = """
[jobs.{name}]
directory = "studio"
search_bases = ["{people}"]
filter = "{filter}"
attributes = {{ username = "uid", email = "mail", first_name = "givenName", last_name = "sn"{attributes} }}
{more}
"""


def job(name="artists", more="", attributes=""):
    return JOB.format(name=name, people=PEOPLE, filter=PEOPLE_FILTER, more=more, attributes=attributes)


def configure(ldap, ftrack, jobs=None, state="state", folder=FOLDER, top="", of_ftrack="", of_directory=""):
    """The configuration of jobs that never ran; of one job if nothing is said."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / state, ignore_errors=True)
    (folder / "ldap-password").write_text(PASSWORD)
    (folder / "ftrack-api-key").write_text(API_KEY)
    text = CONFIG.format(
        state=folder / state, folder=folder, top=top, ftrack=ftrack, ldap=ldap, api_user=API_USER, reader=READER,
        of_ftrack=of_ftrack, of_directory=of_directory,
    )
    path = folder / f"{state}.toml"
    path.write_text(text + (jobs or job()))
    return path


def sync(program, config, **counts):
    """One sync that does just that: its figures, and its report."""
    output = FOLDER / "report.json"
    # What a run that failed says is in its report.
    usage = run([program, "--config", config, "sync", "--format", "json"], output, statuses=(0, 1, 3, 4))
    report = json.loads(output.read_text())
    if report["error"]:
        raise Failed(report["error"])
    # What is not named does not happen.
    wanted = dict.fromkeys(("created", "updated", "deactivated", "reactivated", "held", "failed"), 0) | counts
    found = {name: report["counts"][name] for name in wanted}
    assert found == wanted, (found, wanted, report["warnings"])
    return usage, report


def calls(report):
    return report["ftrack"]["read_calls"] + report["ftrack"]["write_calls"]
