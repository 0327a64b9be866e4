# Packer 1.9 and later take their plugins from here: `packer init packer/current`, then `packer build packer/current`.
# Packer 1.6.6 has them built in and rejects required_plugins, so it is given the folder above.

packer {
  required_version = ">= 1.9.0"

  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8, < 2.0.0"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.0, < 2.0.0"
    }
  }
}
