# The builder of base-chop: an instance of our subnet, started from the CentOS 7 source AMI.
# Packer 1.6.6 reads this file; current/base-chop.pkr.hcl is the same plus what only newer plugins know.

source "amazon-ebs" "base_chop" {
  region                  = local.facts.aws_region
  custom_endpoint_ec2     = var.custom_endpoint_ec2
  skip_region_validation  = var.skip_region_validation
  skip_metadata_api_check = var.skip_metadata_api_check

  ami_name        = local.image_name
  ami_description = "CheckOP ${local.version} on CentOS 7, baked from {{ .SourceAMI }}"
  ami_regions     = local.facts.image_copy_regions
  ami_users       = local.facts.image_share_accounts
  snapshot_users  = local.facts.image_share_accounts
  ena_support     = true
  tags            = local.image_tags
  snapshot_tags   = local.image_tags

  source_ami = local.source_ami_id
  dynamic "source_ami_filter" {
    for_each = local.source_ami_id == "" ? ["filter"] : []
    content {
      filters = {
        name                = local.facts.image_source_name
        architecture        = "x86_64"
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
      owners      = [local.facts.image_source_owner]
      most_recent = true
    }
  }

  instance_type        = local.facts.image_instance_type
  iam_instance_profile = var.instance_profile != "" ? var.instance_profile : local.profile
  run_tags             = local.builder_tags
  run_volume_tags      = local.builder_tags

  subnet_filter {
    filters = {
      "tag:checkop:environment" = var.environment
      "cidr-block"              = local.subnet.cidr
    }
  }
  associate_public_ip_address = true

  # The perimeter's group for hub and builders: ssh from the administrators only, and ChOp-Temp is within reach.
  security_group_ids = var.security_group_ids
  dynamic "security_group_filter" {
    for_each = length(var.security_group_ids) == 0 ? ["filter"] : []
    content {
      filters = {
        "tag:checkop:environment" = var.environment
        "group-name"              = local.security_group
      }
    }
  }

  # t3 is a Nitro type: the root device is mapped as /dev/sda1, and the guest sees /dev/nvme0n1.
  launch_block_device_mappings {
    device_name           = local.facts.fleet_root_device
    volume_size           = local.facts.fleet_root_volume_gb
    volume_type           = local.facts.fleet_root_volume_type
    iops                  = local.facts.fleet_root_volume_type == "gp3" ? 3000 : null
    throughput            = local.facts.fleet_root_volume_type == "gp3" ? 125 : null
    encrypted             = true
    kms_key_id            = local.kms_key_id != "" ? local.kms_key_id : null
    delete_on_termination = true
  }

  communicator            = "ssh"
  ssh_username            = local.facts.image_ssh_username
  ssh_timeout             = var.ssh_timeout
  temporary_key_pair_name = "checkop-bake-${local.run_id}-builder"

  aws_polling {
    delay_seconds = 2
    max_attempts  = 1800
  }
}
