"""Programs that cannot reach something."""

from __future__ import annotations

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PYTHON, Build, Expected, Fault, Json, Place
from benchmarks.fault_scores.hosts import CLOSING, DROPPED, PROXY, SELF_SIGNED
from local_cluster.addresses import NODE_IP

_PORTS = [{"port": 1, "endPort": 65535}]
_FREE = Place({"network": {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": _PORTS}]}})
"""A team that may connect to everything."""

_PYTHON_MEMORY = {"requests": {"memory": "128Mi"}, "limits": {"memory": "128Mi"}}


def unknown_host(draw: Draw) -> Fault:
    """The name of a Service that does not exist."""
    host = f"{draw.name()}.{draw.name()}.svc.cluster.local"
    expected = Expected(("KPO-NET101",), (host, r"not exist|bad address|resolve|unknown host|not known"), advice="name")
    return Fault("host", expected, container=_get(f"http://{host}/"), place=_FREE)


def refused(draw: Draw) -> Fault:
    """A port on which nothing listens."""
    port = draw.randint(20000, 30000)
    expected = Expected(("KPO-NET104",), (r"refused", str(port)), advice="port|service")
    return Fault("port", expected, container=_get(f"http://{NODE_IP}:{port}/"), place=_FREE)


def no_route(draw: Draw) -> Fault:
    """An address to which the pod's network has no way."""
    address = f"203.0.113.{draw.randint(1, 254)}"
    expected = Expected(("KPO-NET105",), (address, r"route|unreachable|no way"), advice="address|route")
    return Fault("route", expected, container=_get(f"http://{address}/"), place=_FREE)


def silent(_: Draw) -> Fault:
    """A server that does not answer, and that the team's policy allows."""
    words = (r"time[d ]?-?out|no answer|not answer", NODE_IP)
    expected = Expected(("KPO-NET103",), words, advice="address|service|firewall")
    return Fault("timeout", expected, container=_get(f"http://{DROPPED}/"), place=_FREE)


def denied(_: Draw) -> Fault:
    """A server that does not answer, and that the team's policy does not allow."""
    words = (r"policy|egress", NODE_IP)
    expected = Expected(("KPO-NET106",), words, "*", "egress", "*")
    return Fault("policy", expected, container=_get(f"http://{DROPPED}/"))


def untrusted(_: Draw) -> Fault:
    """A server whose certificate the program does not trust."""
    expected = Expected(("KPO-NET107",), (r"certificate",), advice="authority|certificate")
    program = f"import urllib.request as u; u.urlopen('https://{SELF_SIGNED}/', timeout=9)"
    return Fault("certificate", expected, container=_python(program), place=_FREE)


def refused_by_proxy(draw: Draw) -> Fault:
    """A proxy that requires a login."""
    expected = Expected(("KPO-NET108",), (r"proxy|407",), advice="PROXY")
    program = f"import urllib.request as u; u.urlopen('http://{draw.name()}.example.com/', timeout=9)"
    container = {**_python(program), "env": [{"name": "http_proxy", "value": f"http://{PROXY}"}]}
    return Fault("proxy", expected, container=container, place=_FREE)


def lost(_: Draw) -> Fault:
    """A server that closes the connection before it has answered."""
    expected = Expected(("KPO-NET109",), (r"reset|closed|lost|incomplete|disconnect",), advice="server|log")
    program = (
        f"import http.client as h; c=h.HTTPConnection('{CLOSING}', timeout=9); c.request('GET','/'); c.getresponse()"
    )
    return Fault("connection", expected, container=_python(program), place=_FREE)


def _get(url: str) -> Json:
    return _python(f"import requests; requests.get('{url}', timeout=3)")


def _python(program: str) -> Json:
    return {"image": PYTHON, "command": ["python", "-c", program], "resources": _PYTHON_MEMORY}


FAULTS: tuple[Build, ...] = (unknown_host, refused, no_route, silent, denied, untrusted, refused_by_proxy, lost)
"""The kinds of this family."""
