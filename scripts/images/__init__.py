"""The images of the local cluster, built without a Docker engine and without a registry: see `images.build`."""
