# What differs from bake to bake. Facts of the environment (names, zones, sizes, owner of the source AMI) are not
# here: locals.pkr.hcl reads them from inventory/, where they stand once.

variable "environment" {
  type        = string
  default     = "rehearsal"
  description = "Folder of inventory/ that the image is baked for; production is always named."

  validation {
    condition     = regex_replace(var.environment, "^[a-z][a-z0-9-]*$", "ok") == "ok"
    error_message = "The environment is the name of a folder of inventory/: lower-case letters, digits and hyphens."
  }
}

variable "application_version" {
  type        = string
  default     = ""
  description = "Version of the application in the image, for example 1.4.0; empty: application_version of the inventory."

  validation {
    condition     = regex_replace(var.application_version, "^([0-9]+[.][0-9]+[.][0-9]+([.-][0-9A-Za-z.-]+)?)?$", "ok") == "ok"
    error_message = "The application_version is three numbers and, if need be, a suffix: 1.4.0 or 1.4.0-rc1."
  }
}

variable "application_archive" {
  type        = string
  default     = ""
  description = "The application's .tar.gz: a path on this machine, s3://bucket/key or https://; empty: the inventory's."

  validation {
    condition     = regex_replace(var.application_archive, "^(|/.*|[^:]+|s3://[^/]+/.+|https://.+)$", "ok") == "ok"
    error_message = "The application_archive is a path, s3://bucket/key or an https:// address."
  }
}

variable "application_archive_sha256" {
  type        = string
  default     = ""
  description = "SHA-256 of the archive, 64 hexadecimal digits; empty: the inventory's."

  validation {
    condition     = regex_replace(var.application_archive_sha256, "^([0-9a-f]{64})?$", "ok") == "ok"
    error_message = "The application_archive_sha256 is 64 lower-case hexadecimal digits, as sha256sum prints them."
  }
}

variable "source_ami_id" {
  type        = string
  default     = ""
  description = "AMI to start from; empty: image_source_id of the inventory, else the newest that its filter finds."

  validation {
    condition     = regex_replace(var.source_ami_id, "^(ami-[0-9a-f]{8,17})?$", "ok") == "ok"
    error_message = "The source_ami_id is an AMI id, for example ami-0123456789abcdef0."
  }
}

variable "playbook" {
  type        = string
  default     = "bake"
  description = "Playbook that makes the image: bake (from a CentOS 7 AMI) or bake_instance (from a copy of the hub)."

  validation {
    condition     = contains(["bake", "bake_instance"], var.playbook)
    error_message = "The playbook is bake or bake_instance."
  }
}

variable "git_revision" {
  type        = string
  default     = "unknown"
  description = "Commit of this repository, for the image's tags (provenance only)."

  validation {
    condition     = regex_replace(var.git_revision, "^(unknown|[0-9a-f]{7,40}(-dirty)?)$", "ok") == "ok"
    error_message = "The git_revision is a commit id, with -dirty where the tree has changes."
  }
}

variable "bake_key" {
  type        = string
  default     = "none"
  description = "Hash of all inputs, computed by checkop bake; an image baked without it is never taken for unchanged."

  validation {
    condition     = regex_replace(var.bake_key, "^(none|[0-9a-f]{64})$", "ok") == "ok"
    error_message = "The bake_key is none or 64 hexadecimal digits."
  }
}

variable "run_id" {
  type        = string
  default     = ""
  description = "Mark on everything that this build makes (tag checkop:bake-run); empty: the time of the build."

  validation {
    condition     = regex_replace(var.run_id, "^[0-9A-Za-z-]{0,64}$", "ok") == "ok"
    error_message = "The run_id has letters, digits and hyphens, at most 64."
  }
}

variable "security_group_ids" {
  type        = list(string)
  default     = []
  description = "Security groups of the builder; empty: the perimeter's own for hub and builders."
}

variable "instance_profile" {
  type        = string
  default     = ""
  description = "Instance profile of the builder, so that no secret is needed on it; empty: the fleet's."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "KMS key of the image's snapshots; empty: the inventory's image_kms_key_id."
}

variable "ssh_timeout" {
  type        = string
  default     = "5m"
  description = "How long the builder may take until it answers by ssh, for example 5m."

  validation {
    condition     = regex_replace(var.ssh_timeout, "^[0-9]+[smh]$", "ok") == "ok"
    error_message = "The ssh_timeout is a number followed by s, m or h."
  }
}

# The three that let the builder talk to another endpoint than AWS's own; all off by default.
variable "custom_endpoint_ec2" {
  type        = string
  default     = ""
  description = "Address of the EC2 API where it is not AWS's public one (a VPC interface endpoint, a rehearsal)."
}

variable "skip_region_validation" {
  type        = bool
  default     = false
  description = "Take the region's name without asking the API whether it exists."
}

variable "skip_metadata_api_check" {
  type        = bool
  default     = false
  description = "Do not look for an instance metadata service on the operator's machine."
}
