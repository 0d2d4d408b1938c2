"""platformctl bootstrap with real Ansible, in this process and in a pseudoterminal."""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode

import pexpect

from unit.support.platformctl import Cluster, Platformctl, environment, program

SECRET = "/api/v1/namespaces/team-alpha/secrets/regcred"
LOGIN = '{"auths": {"registry.test": {"username": "robot", "password": "s3cret"}}}'
TASKS = """\
► Apply registry secrets and volume claims
✔ Secret team-alpha/regcred
✔ PersistentVolumeClaim team-alpha/data
✔ PersistentVolumeClaim team-beta/data
► Write Airflow connections
✔ Connection k8s_default
"""


def test_first_run_creates_everything_and_second_run_nothing(platformctl: Platformctl, cluster: Cluster):
    words = (*cluster.bootstrap, "--yes", "--registry-config", "-")
    first = platformctl(*words, stdin=LOGIN)
    assert (first.code, TASKS in first.err, cluster.platform.writes) == (0, True, 4)
    second = platformctl(*words, stdin=LOGIN)
    assert (second.code, cluster.platform.writes) == (0, 4)
    assert "Plan: 0 to create, 0 to change, 4 unchanged, 0 blocked." in second.out.splitlines()


def test_terminal_does_not_show_the_typed_password(cluster: Cluster):
    words = program(*cluster.bootstrap, "--yes", "--registry-username", "robot")
    screen = io.StringIO()
    child = pexpect.spawn(words[0], words[1:], env=environment(), encoding="utf-8", timeout=120)
    child.logfile_read = screen
    child.expect("Password of robot for registry.test: ")
    child.sendline("typed-password")
    child.expect(pexpect.EOF)
    child.close()
    auth = {"auth": b64encode(b"robot:typed-password").decode()}
    config = cluster.platform.objects[SECRET]["data"][".dockerconfigjson"]
    assert json.loads(b64decode(config)) == {"auths": {"registry.test": auth}}
    assert (child.exitstatus, "typed-password" in screen.getvalue()) == (0, False)
    assert "Connection k8s_default: create" in screen.getvalue()
