"""The controllers of Kubernetes after an outage of the API server."""

from __future__ import annotations

import json
from functools import partial

from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, Stack

NAME = "canary"


def wait_for_controllers(stack: Stack) -> None:
    """Wait until the controllers read current objects again, which takes them up to a minute after an outage.

    One that changes an object meanwhile may give up: the controller of EndpointSlices leaves a former pod's address in
    a Service after 15 attempts ("EndpointSlice informer cache is out of date"). It copies a Service's labels to its
    slice, and the second time only if it has read the slice that it wrote the first time.
    """
    try:
        for number in ("1", "2"):
            stack.kubectl("apply", "--server-side", "-f", "-", stdin=_build_service(number))
            wait_for("the controllers to read current objects", partial(_probe, stack, number), 180, interval_s=1)
    finally:
        stack.kubectl("delete", "service", NAME, "-n", NAMESPACE, "--ignore-not-found")


def _build_service(number: str) -> str:
    selector = {"app.kubernetes.io/component": "scheduler"}
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {"number": number}}
    spec = {"selector": selector, "ports": [{"port": 80}]}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def _probe(stack: Stack, number: str) -> None:
    slices = stack.get("endpointslices", "-n", NAMESPACE, "-l", f"kubernetes.io/service-name={NAME}")["items"]
    if [each["metadata"]["labels"].get("number") for each in slices] != [number]:
        raise NotYet(f"{len(slices)} slices, none with label number={number}")
