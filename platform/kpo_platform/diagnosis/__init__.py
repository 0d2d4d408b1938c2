"""Find out why a pod does not run, or has failed: from what is known about it, without access to a cluster.

`facts` holds what is known, `signals` what Kubernetes says; each family of causes (`admission`, `scheduling`,
`volumes`, `image`, `start`, `run`, `end`, `result`, `network`) looks for its own; `diagnose` puts them in order.
"""

from __future__ import annotations
