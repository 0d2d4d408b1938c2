"""Ansible module: write the Airflow connections that the socket hands out."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from kpo_platform.bootstrap import module, work, write

if __name__ == "__main__":
    module.run(AnsibleModule(argument_spec=module.ARGUMENTS), work.CONNECTIONS, write.connections)
