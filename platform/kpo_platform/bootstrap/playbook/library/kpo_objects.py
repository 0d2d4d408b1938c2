"""Ansible module that applies bootstrap's Kubernetes objects."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from kpo_platform.bootstrap.ansible import payload, writes
from kpo_platform.bootstrap.playbook import module

if __name__ == "__main__":
    module.run_module(AnsibleModule(**module.SPECIFICATION), payload.OBJECTS, writes.apply_objects)
