# The environment's facts, read from the inventory that the playbooks use. Plain values only: an expression of Ansible
# cannot be evaluated here, but for the two that names are made of.

locals {
  production = "${path.cwd}/inventory/production/group_vars/all"
  overrides  = "${path.cwd}/inventory/${var.environment}/group_vars/all"
}

# An environment is production's folder, and over it a file of its own name.
locals {
  facts = merge(concat(
    [for name in ["account", "application", "fleet", "hosts", "hub", "image", "network"] :
      yamldecode(file("${local.production}/${name}.yml"))
    ],
    [for name in fileset(local.overrides, "${var.environment}.yml") : yamldecode(file("${local.overrides}/${name}"))]
  )...)
}

locals {
  image_prefix   = replace(local.facts.image_name_prefix, "{{ checkop_name_suffix }}", local.facts.checkop_name_suffix)
  profile        = replace(local.facts.fleet_role_name, "{{ checkop_environment }}", var.environment)
  source_ami_id  = var.source_ami_id != "" ? var.source_ami_id : local.facts.image_source_id
  version        = var.application_version != "" ? var.application_version : local.facts.application_version
  run_id         = var.run_id != "" ? var.run_id : formatdate("YYYYMMDDhhmmss", timestamp())
  kms_key_id     = var.kms_key_id != "" ? var.kms_key_id : local.facts.image_kms_key_id
  subnet         = [for s in local.facts.network_subnets : s if s.tier == "public" && s.zone == local.facts.hub_zone][0]
  security_group = "${replace(local.facts.network_name, "{{ checkop_name_suffix }}", local.facts.checkop_name_suffix)}-base"
}

# The name ends in the run's mark: until Packer has tagged an image, nothing else tells whose it is.
locals {
  image_name = "${local.image_prefix}-${local.version}-${local.run_id}"
}

locals {
  record = "build/images/${local.image_name}"
  tags = {
    "checkop:environment" = var.environment
    "checkop:managed-by"  = "checkop-environment"
    "checkop:bake-run"    = local.run_id
  }
}

locals {
  builder_tags = merge(local.tags, {
    "Name"          = "${local.image_prefix} builder"
    "checkop:group" = "builder"
  })
  image_tags = merge(local.tags, {
    "Name"                        = local.image_name
    "checkop:role"                = "base-chop"
    "checkop:git-revision"        = var.git_revision
    "checkop:source-ami"          = "{{ .SourceAMI }}"
    "checkop:application-version" = local.version
    "checkop:bake-key"            = var.bake_key
  })
  # Given only when they say something: an empty extra variable would hide the inventory's.
  application = jsonencode(merge(
    var.application_version == "" ? {} : { application_version = var.application_version },
    var.application_archive == "" ? {} : { application_archive = var.application_archive },
    var.application_archive_sha256 == "" ? {} : { application_archive_sha256 = var.application_archive_sha256 },
    { image_seal_manifest_path = "${path.cwd}/${local.record}/manifest.json" }
  ))
}
