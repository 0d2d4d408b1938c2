"""The life of a pod: create, wait for quota, watch, stop, clean up."""
