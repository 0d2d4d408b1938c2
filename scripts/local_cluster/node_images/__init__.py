"""Images on the node: the base images, their archives, and the import into containerd."""
