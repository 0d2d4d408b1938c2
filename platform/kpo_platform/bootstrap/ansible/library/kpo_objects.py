"""Ansible module: apply the Kubernetes objects of bootstrap: what platformctl serves, or what it finds out itself."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from kpo_platform.bootstrap import module, work, write

if __name__ == "__main__":
    module.run(AnsibleModule(**module.SPECIFICATION), work.OBJECTS, write.objects)
