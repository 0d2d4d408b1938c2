"""The lifecycle of a pod: create, wait for quota, watch, stop, clean up."""
