# packer build -var-file=packer/rehearsal.pkrvars.hcl packer, the default
environment = "rehearsal"
