"""Names and addresses of the cluster.

198.18.0.0/15 is reserved for benchmarks (RFC 2544), so no other network uses it.
"""

from __future__ import annotations

NAME = "kpo-platform"  # name of the network namespace, the cgroup, the cluster and its kubeconfig context
NODE = "kpo-node"

BENCHMARK_RANGE = "198.18.0.0/15"
HOST_IP = "198.18.0.1"
NODE_IP = "198.18.0.2"
POD_CIDR = "198.18.64.0/18"
SERVICE_CIDR = "198.18.128.0/20"
KUBERNETES_SERVICE_IP = "198.18.128.1"  # the API server takes the first address of the range

API_SERVER = f"https://{NODE_IP}:6443"
