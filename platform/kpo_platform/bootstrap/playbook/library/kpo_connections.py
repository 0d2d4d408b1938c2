"""Ansible module that writes bootstrap's Airflow connections."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from kpo_platform.bootstrap.ansible import payload, writes
from kpo_platform.bootstrap.playbook import module

if __name__ == "__main__":
    module.run_module(AnsibleModule(**module.SPECIFICATION), payload.CONNECTIONS, writes.write_connections)
