"""Connections that a program could not make, as the last lines of its log tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.end.program_log import clean_line, find_error_line, read_lines
from kpo_platform.diagnosis.causes.network.egress import build_rule, is_denied
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.disruption import find_termination
from kpo_platform.pod.state import CANNOT_START

RULES: dict[str, Rule] = {
    "host-unknown": Rule("KPO-NET101", "The names of the hosts to which the program connects exist."),
    "dns-silent": Rule("KPO-NET102", "The DNS of the cluster answers the program."),
    "connection-timeout": Rule("KPO-NET103", "The hosts to which the program connects answer."),
    "connection-refused": Rule("KPO-NET104", "The hosts to which the program connects accept connections."),
    "host-unreachable": Rule("KPO-NET105", "There is a route to the hosts to which the program connects."),
    "network-policy": Rule("KPO-NET106", "The team's network policy allows the connections of the program."),
    "certificate": Rule("KPO-NET107", "The program trusts the certificates of the hosts to which it connects."),
    "proxy": Rule("KPO-NET108", "The proxy accepts the program's connections."),
    "connection-lost": Rule("KPO-NET109", "The hosts to which the program connects keep the connection."),
}
"""The causes of this family by name."""

_HOST = r"(?P<host>[A-Za-z0-9](?:[\w.-]*\w)?|\[[0-9a-fA-F:]+\])"
_PORT = r"(?P<port>\d{1,5})"
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"host='{_HOST}', port={_PORT}",
        rf'server at "{_HOST}"(?: \([^)]*\))?, port {_PORT}',
        rf"connect to (?:host )?{_HOST} port {_PORT}",
        rf"\b(?:dial|connect(?:ing|ion)?)(?: tcp| udp)?(?: to)?:? {_HOST}:{_PORT}",
        rf"\bE[A-Z]{{6,}} {_HOST}:{_PORT}",
        rf"server on '{_HOST}(?::{_PORT}| \({_PORT.replace('port', 'port2')}\))?'",
        rf"(?P<scheme>https?|ssh|ftp)://(?:[^@/\s]*@)?{_HOST}(?::{_PORT})?",
        rf"\blookup {_HOST}(?: on [^:]+:\d+)?:",
        rf"resolve (?:host(?:name)?|server|proxy)?:? ?['\"]?{_HOST}",
        rf"(?:host name|bad address|Unknown (?:MySQL server )?host) ['\"]{_HOST}",
        rf"(?:ENOTFOUND|\bEAI_AGAIN\b|UnknownHostException:) {_HOST}",
        rf"(?<![\w:./-])(?P<host>(?=[\w.-]*[A-Za-z.])[\w.-]+(?<!\.py)(?<!\.go)(?<!\.js)(?<!\.java)):{_PORT}\b(?!:)",
    )
)
"""How programs write the host of a connection, the most certain first."""

_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22, "ftp": 21}
_CHAIN = re.compile(r"direct cause of the following|During handling of the above exception|^Caused by: ")
_LAST = 5


@dataclass(frozen=True)
class _Kind:
    """A kind of failed connection: its name in `RULES`, the texts that show it, what happened and the fix."""

    name: str
    pattern: str
    text: str
    fix: str
    who: str = ""


_KINDS = (
    _Kind(
        "proxy",
        r"\b407\b.*prox|proxy authentication|tunnel connection failed|CONNECT tunnel failed|after CONNECT|ProxyError|"
        r"connect to proxy|resolve proxy|proxyconnect",
        "was refused by a proxy",
        "Correct HTTPS_PROXY, HTTP_PROXY and NO_PROXY; a proxy with a login needs it in the URL, from a Secret.",
    ),
    _Kind(
        "certificate",
        r"x509:|certificate.?verify.?failed|SSL certificate problem|PKIX path|self[- _]signed.cert|UNABLE_TO_VERIFY|"
        r"UNABLE_TO_GET_ISSUER|ERR_TLS_CERT|cert(ificate)?.has.expired|local issuer|hostname mismatch|unknown CA\b|"
        r"no alternative certificate subject|ssl.*wrong.version.number",
        "failed: the certificate of the host is not accepted",
        "Add the authority of the certificate to the image, or use the name for which it is made. If the log has "
        "'wrong version number', the host does not speak TLS on this port.",
    ),
    _Kind(
        "dns-silent",
        r"temporary failure (in name resolution|resolving)|\bEAI_AGAIN\b|server misbehaving|"
        r"lookup \S+.*(i/o timeout|try again)|resolving timed out|\[Errno -3\]|contact DNS servers|"
        r"no servers could be reached",
        "failed: the DNS of the cluster did not answer",
        "Try again. If no name can be resolved, the platform team allows the DNS in network.egress: by default only "
        "that in kube-system is allowed.",
        PLATFORM_TEAM,
    ),
    _Kind(
        "host-unknown",
        r"name or service not known|could not resolve|NXDOMAIN|no such host|\bENOTFOUND\b|nodename nor servname|"
        r"name does not resolve|bad address '|UnknownHost|translate host name|failed to resolve|"
        r"unknown (mysql server )?host|\[Errno -[25]\]|no address associated|failed to lookup address|"
        r"getaddrinfo failed|host not found",
        "failed: the name of the host does not exist",
        "Correct the name; a Service of another namespace needs its namespace, as in db.data.svc.",
    ),
    _Kind(
        "host-unreachable",
        r"no route to host|\bEHOSTUNREACH\b|(network|host) is unreachable|\bENETUNREACH\b|\[Errno 1(13|01)\]",
        "failed: the pod has no route to the host",
        "Check its address; the platform team knows the routes and firewalls of the cluster.",
    ),
    _Kind(
        "connection-refused",
        r"connection refused|\bECONNREFUSED\b|\[Errno 111\]|actively refused",
        "was refused",
        "Check that the service runs and that the port is right; localhost is the pod itself.",
    ),
    _Kind(
        "connection-timeout",
        r"connect\w* (attempt )?timed? ?out|\bETIMEDOUT\b|ConnectTimeout|i/o timeout|(operation|download) timed out|"
        r"\[Errno 110\]|connect timed out|failed: timeout expired|"
        r"^(socket\.timeout|TimeoutError): timed out",
        "timed out",
        "Check the address, that the service runs, and whether a network policy or firewall blocks the connection.",
    ),
    _Kind(
        "connection-lost",
        r"connection reset by peer|\bECONNRESET\b|RemoteDisconnected|connection aborted|"
        r"closed the connection unexpectedly|connection closed by (remote|peer)",
        "was closed by the host",
        "Check the log and the limits of the host, and the proxies between.",
    ),
)
_POLICY_KINDS = ("connection-timeout", "connection-refused", "host-unreachable")


def find_network_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find the connection for which a program has failed; never certain, unless the team's policy denies it."""
    lines = read_lines(facts.log_tail, "")
    if not lines or not _has_failed(facts):
        return
    for line in _list_candidates(lines):
        kind = next((each for each in _KINDS if re.search(each.pattern, line, re.IGNORECASE)), None)
        if kind is not None:
            host, port = _find_address(
                [line, *(each for each in reversed(lines) if re.search(kind.pattern, each, re.I))]
            )
            yield _describe(facts, kind, line, host, port)
            return


def _has_failed(facts: Facts) -> bool:
    program = facts.program
    if not program.exit_code or program.is_lost or program.reason in (*CANNOT_START, "OOMKilled"):
        return False
    termination = find_termination(facts.state)
    return termination is None or not termination.ended(program)


def _list_candidates(lines: Sequence[str]) -> list[str]:
    """List the lines that may tell why a program failed: its error, what has caused that, or the last lines."""
    error = find_error_line(lines)
    told = next((line for line in reversed(lines) if clean_line(line) == error), error)
    if any(_CHAIN.search(line) for line in lines):
        return [told, *reversed(lines)]
    has_traceback = any("Traceback (most recent call last)" in line for line in lines)
    return [told] if has_traceback else [told, *reversed(lines[-_LAST:])]


def _find_address(lines: Sequence[str]) -> tuple[str, int | None]:
    """Find host and port in the first line that has them; the last pattern only counts in the line of the error."""
    for number, line in enumerate(lines):
        for pattern in _ADDRESSES if number == 0 else _ADDRESSES[:-1]:
            if match := pattern.search(line):
                groups = match.groupdict()
                port = groups.get("port") or groups.get("port2") or _DEFAULT_PORTS.get(groups.get("scheme") or "")
                return match["host"].strip("[]"), int(port) if port else None
    return "", None


def _describe(facts: Facts, kind: _Kind, line: str, host: str, port: int | None) -> Cause:
    program = facts.program
    target = f"{host}:{port}" if port else host
    signal = Signal(
        "terminated", program.reason or "Error", clean_line(line), program.name, exit_code=program.exit_code
    )
    denied = facts.team is not None and kind.name in _POLICY_KINDS and is_denied(facts.team.network.egress, host, port)
    rule = build_rule(host, port)
    width = "" if "to: " in rule else " (it allows the port on all hosts)"
    advice = f"this rule{width} to teams.{facts.team_name}.network.egress, and upgrade the release: - {rule}"
    if denied and kind.name == "connection-timeout":
        about = ObjectRef("NetworkPolicy", "team", facts.namespace)
        text = f"The program could not connect to {target}: the network policy of the team {facts.team_name} does not "
        cause = build_cause(
            RULES["network-policy"], about, f"{text}allow it", signal, Fix(f"Add {advice}", who=PLATFORM_TEAM)
        )
        return _drop_reason(cause)
    text = f"The connection of the program to {target} {kind.text}"
    if not host:
        text = f"A connection of the program {kind.text}: {clean_line(line)}".rstrip(". ")
    denial = "The network policy of the team does not allow the connection: ask the platform team to add"
    fix = f"{kind.fix} {denial} {advice}" if denied else kind.fix
    return _drop_reason(
        build_cause(RULES[kind.name], facts.pod_ref, text, signal, Fix(fix, who=kind.who), is_vague=True)
    )


def _drop_reason(cause: Cause) -> Cause:
    """Leave out the reason of a program's end if it says nothing."""
    return replace(cause, reason="") if cause.reason == "Error" else cause
