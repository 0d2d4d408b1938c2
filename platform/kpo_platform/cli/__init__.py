"""The commands of platformctl, one module each. Results go to stdout, messages to stderr."""
