"""CheckOP's environment on AWS: the logic behind the playbooks, and the `checkop` command."""
