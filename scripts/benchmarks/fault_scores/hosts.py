"""Addresses of the servers that misbehave; they run in the cluster's network."""

from __future__ import annotations

from local_cluster.addresses import NODE_IP

REGISTRY = "localhost:5000"
"""A registry that works, with a login; on localhost the node needs no HTTPS."""

ANSWERS = "localhost:5080"
"""A registry whose answer is the first part of the repository's name, such as `503`, `hang` or `drop`."""

PLAIN_HTTP = f"{NODE_IP}:5081"
"""A registry that speaks HTTP where the node expects HTTPS."""

SELF_SIGNED = f"{NODE_IP}:5443"
"""A registry with a certificate of an unknown authority."""

EXPIRED = f"{NODE_IP}:5444"
"""A registry with an expired certificate."""

SILENT = f"{NODE_IP}:5082"
"""Accepts connections and never answers."""

DROPPED = f"{NODE_IP}:5090"
"""The node drops every packet to this port, as a network policy would."""

CLOSING = f"{NODE_IP}:5083"
"""Reads a request, announces a long answer, and closes the connection."""

PROXY = f"{NODE_IP}:5084"
"""A proxy that requires a login (407)."""

WEBHOOK = f"{NODE_IP}:5445"
"""An admission webhook that denies every pod; the reason is the last part of its path."""

DEAD_PORT = 9
"""A port on which nothing listens."""
