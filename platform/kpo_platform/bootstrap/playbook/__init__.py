"""The Ansible playbook and its modules."""
