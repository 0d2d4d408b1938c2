"""Image builds for the local cluster, without a container engine and without a registry; see `images.build`."""
