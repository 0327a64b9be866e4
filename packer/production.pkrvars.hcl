# packer build -var-file=packer/production.pkrvars.hcl packer
environment = "production"
