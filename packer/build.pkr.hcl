# Configure, test, seal, and only then an image: a step that fails ends the build with nothing left.

build {
  sources = ["source.amazon-ebs.base_chop"]

  provisioner "ansible" {
    playbook_file      = "playbooks/${var.playbook}.yml"
    use_proxy          = false
    user               = local.facts.image_ssh_username
    groups             = ["builder"]
    extra_arguments    = ["-i", "inventory/${var.environment}/localhost.yml", "--skip-tags", "seal", "--extra-vars", local.application]
    ansible_env_vars   = ["ANSIBLE_CONFIG=${path.cwd}/ansible.cfg", "ANSIBLE_HOST_KEY_CHECKING=False"]
    skip_version_check = true
  }

  # No passing tests, no image. The tests reach the builder over ssh with the build's own key.
  provisioner "shell-local" {
    environment_vars = [
      "CHECKOP_BUILDER_HOST=${build.Host}",
      "CHECKOP_BUILDER_USER=${build.User}",
      "CHECKOP_BUILDER_PORT=${build.Port}",
      "CHECKOP_BUILDER_KEY=${build.SSHPrivateKey}",
      "CHECKOP_INVENTORY=inventory/${var.environment}",
      "CHECKOP_APPLICATION_VERSION=${local.version}",
    ]
    inline = ["exec python3 -m checkop.bake.image_tests"]
  }

  # Last, because no new connection is possible once the host keys are gone.
  provisioner "ansible" {
    playbook_file   = "playbooks/seal.yml"
    use_proxy       = false
    user            = local.facts.image_ssh_username
    groups          = ["builder"]
    extra_arguments = ["-i", "inventory/${var.environment}/localhost.yml", "--extra-vars", local.application]
    # Below /run, which is no part of an image: the seal removes Ansible's usual place while it is in use.
    ansible_env_vars   = ["ANSIBLE_CONFIG=${path.cwd}/ansible.cfg", "ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_REMOTE_TMP=/run/checkop-seal"]
    skip_version_check = true
  }

  post-processor "manifest" {
    output = "${local.record}/packer.json"
    custom_data = {
      run_id   = local.run_id
      bake_key = var.bake_key
      source   = local.source_ami_id
    }
  }
}
