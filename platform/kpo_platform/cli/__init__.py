"""The commands of platformctl, one file each. Data goes to stdout, talk to stderr."""
