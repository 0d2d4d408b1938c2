"""Connections that a program could not make: told by its log, explained by the team's network policy."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.causes.network.egress import build_rule, is_denied
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from unit.support.contracts import build_contract
from unit.support.diagnosis import build_pod, end_with

PORT = {"ports": [{"port": 5432, "protocol": "TCP"}]}
TO_NETWORK = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}}], **PORT}
TO_PODS = {"to": [{"podSelector": {}}], **PORT}


def fail(*lines: str, egress: Any = None, exit_code: int = 1, **pod: Any) -> Facts:
    status = {"phase": "Failed", "containerStatuses": [end_with(exit_code)], **pod}
    team = None if egress is None else build_contract(network={"egress": egress, "ingress": []}).team("alpha")
    return Facts(pod=build_pod(**status), log_tail=lines, team=team, team_name="alpha")


def find_own(facts: Facts) -> list[tuple[str, bool, str]]:
    causes = [cause for cause in diagnose(facts).causes if "NET" in cause.finding.code]
    return [(cause.finding.code, cause.is_vague, cause.finding.cause) for cause in causes]


@pytest.mark.parametrize(
    ("line", "code", "target", "end"),
    [
        (
            "curl: (6) Could not resolve host: data.test",
            "KPO-NET101",
            "data.test",
            "failed: the name of the host does not exist",
        ),
        (
            "java.net.UnknownHostException: db.prod",
            "KPO-NET101",
            "db.prod",
            "failed: the name of the host does not exist",
        ),
        ("wget: bad address 'data.test'", "KPO-NET101", "data.test", "failed: the name of the host does not exist"),
        (
            "Error: getaddrinfo ENOTFOUND data.test",
            "KPO-NET101",
            "data.test",
            "failed: the name of the host does not exist",
        ),
        (
            "dial tcp: lookup db on 10.96.0.10:53: no such host",
            "KPO-NET101",
            "db",
            "failed: the name of the host does not exist",
        ),
        (
            'psql: error: could not translate host name "db" to address: Temporary failure in name resolution',
            "KPO-NET102",
            "db",
            "failed: the DNS of the cluster did not answer",
        ),
        (
            "Error: getaddrinfo EAI_AGAIN data.test",
            "KPO-NET102",
            "data.test",
            "failed: the DNS of the cluster did not answer",
        ),
        (
            "curl: (28) Failed to connect to 10.0.0.1 port 443: Connection timed out",
            "KPO-NET103",
            "10.0.0.1:443",
            "timed out",
        ),
        (
            'connection to server at "db" (10.0.0.1), port 5432 failed: timeout expired',
            "KPO-NET103",
            "db:5432",
            "timed out",
        ),
        ("dial tcp 10.0.0.1:5432: i/o timeout", "KPO-NET103", "10.0.0.1:5432", "timed out"),
        (
            "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
            "KPO-NET104",
            "redis:6379",
            "was refused",
        ),
        ("Error: connect ECONNREFUSED 10.0.0.1:8080", "KPO-NET104", "10.0.0.1:8080", "was refused"),
        (
            "ssh: connect to host sftp.test port 22: No route to host",
            "KPO-NET105",
            "sftp.test:22",
            "failed: the pod has no route to the host",
        ),
        (
            "dial tcp 10.0.0.1:443: connect: network is unreachable",
            "KPO-NET105",
            "10.0.0.1:443",
            "failed: the pod has no route to the host",
        ),
        (
            'Get "https://data.test/x": tls: failed to verify certificate: x509: certificate signed by unknown CA',
            "KPO-NET107",
            "data.test:443",
            "failed: the certificate of the host is not accepted",
        ),
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='data.test', port=443): Max retries exceeded "
            "(Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')))",
            "KPO-NET107",
            "data.test:443",
            "failed: the certificate of the host is not accepted",
        ),
        (
            "requests.exceptions.ProxyError: HTTPSConnectionPool(host='data.test', port=443): Tunnel connection "
            "failed: 407 Proxy Authentication Required",
            "KPO-NET108",
            "data.test:443",
            "was refused by a proxy",
        ),
        ("Error: read ECONNRESET 10.0.0.1:443", "KPO-NET109", "10.0.0.1:443", "was closed by the host"),
    ],
)
def test_failed_connection_is_told_with_its_host(line: str, code: str, target: str, end: str):
    assert find_own(fail("start", line)) == [(code, True, f"The connection of the program to {target} {end}")]


def test_connection_without_a_host_is_told_by_its_line():
    assert find_own(
        fail("Traceback (most recent call last):", "  x", "TimeoutError: [Errno 110] Connection timed out")
    ) == [
        (
            "KPO-NET103",
            True,
            "A connection of the program timed out: TimeoutError: [Errno 110] Connection timed out",
        )
    ]


TIMEOUT = "dial tcp 10.0.0.1:5432: i/o timeout"


def test_timeout_that_the_policy_explains_is_certain_and_gives_the_rule():
    first, *_ = diagnose(fail(TIMEOUT, egress=[])).causes
    assert str(first) == (
        "The program could not connect to 10.0.0.1:5432: the network policy of the team alpha does not allow it. "
        "For the platform team: Add this rule to teams.alpha.network.egress, and upgrade the release: "
        "- {to: [{ipBlock: {cidr: 10.0.0.1/32}}], ports: [{port: 5432, protocol: TCP}]} "
        "[KPO-NET106: docs/troubleshooting.md#kpo-net106]"
    )
    assert (first.is_vague, first.finding.fix.who) == (False, "the platform team")
    assert str(first.finding.object) == "NetworkPolicy team-alpha/team"


@pytest.mark.parametrize("egress", [[PORT], [TO_NETWORK], [TO_PODS], ["?"], [{"to": [{"ipBlock": {"cidr": "?"}}]}]])
def test_timeout_that_the_policy_may_allow_stays_vague(egress: Any):
    if egress == ["?"]:
        egress = [{}]
    assert [cause[:2] for cause in find_own(fail(TIMEOUT, egress=egress))] == [("KPO-NET103", True)]


def test_refused_connection_mentions_the_policy_but_stays_vague():
    facts = fail("dial tcp 10.0.0.1:5432: connect: connection refused", egress=[])
    first, *_ = diagnose(facts).causes
    assert (first.finding.code, first.is_vague) == ("KPO-NET104", True)
    assert "ask the platform team to add this rule to teams.alpha.network.egress" in first.finding.fix.text


def test_rule_for_a_host_outside_of_the_cluster_says_that_it_allows_the_port_on_all_hosts():
    first, *_ = diagnose(fail("dial tcp data.example.com:443: i/o timeout", egress=[])).causes
    assert first.finding.fix.text == (
        "Add this rule (it allows the port on all hosts) to teams.alpha.network.egress, and upgrade the release: "
        "- {ports: [{port: 443, protocol: TCP}]}"
    )


@pytest.mark.parametrize(
    ("egress", "host", "port", "denied"),
    [
        ([], "data.example.com", 443, True),
        ([], "data.example.com", None, True),
        ([], "localhost", 8080, False),
        ([], "127.0.0.1", 8080, False),
        ([], "10.0.0.10", 53, False),
        ([], "", 443, False),
        ([PORT], "data.example.com", 443, True),
        ([PORT], "data.example.com", 5432, False),
        ([PORT], "db.data.svc.cluster.local", 80, False),
        ([{"ports": [{"port": 8000, "endPort": 9000}]}], "a.b.example.com", 8500, False),
        ([{"ports": [{"port": "https"}]}], "a.b.example.com", 443, False),
        ([{"ports": [{"port": 443, "protocol": "UDP"}]}], "a.b.example.com", 443, True),
        ([TO_NETWORK], "10.1.0.1", 5432, False),
        ([TO_NETWORK], "10.9.0.1", 5432, True),
        ([TO_NETWORK], "192.0.2.1", 5432, True),
        ([TO_PODS], "8.8.8.8", 5432, True),
    ],
)
def test_connection_is_denied_only_if_no_rule_can_allow_it(egress: Any, host: str, port: int | None, denied: bool):
    assert is_denied(egress, host, port) is denied


@pytest.mark.parametrize(
    ("host", "rule"),
    [
        ("db", "{to: [{podSelector: {}}], ports: [{port: 80, protocol: TCP}]}"),
        (
            "db.data.svc",
            "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}}], ports: [{port: 80, "
            "protocol: TCP}]}",
        ),
        ("data.example.com", "{ports: [{port: 80, protocol: TCP}]}"),
        ("2001:db8::1", "{to: [{ipBlock: {cidr: 2001:db8::1/128}}], ports: [{port: 80, protocol: TCP}]}"),
    ],
)
def test_rule_names_what_a_policy_can_name(host: str, rule: str):
    assert build_rule(host, 80) == rule


def test_cause_within_a_chain_of_exceptions_is_found():
    chain = (
        "Traceback (most recent call last):",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "The above exception was the direct cause of the following exception:",
        "Traceback (most recent call last):",
        "RuntimeError: upload failed",
    )
    assert [cause[0] for cause in find_own(fail(*chain))] == ["KPO-NET104"]


def test_password_in_a_url_is_not_told():
    facts = fail("psycopg.OperationalError: postgresql://ada:secret@db:5432 failed: Connection refused")
    assert "secret" not in "".join(
        text for cause in diagnose(facts).causes for text in (str(cause), *cause.finding.evidence)
    )


RETRIED = "WARNING retry: Connection refused"


@pytest.mark.parametrize(
    "facts",
    [
        fail("curl: (7) Failed to connect to db port 80: Connection refused", exit_code=0, phase="Succeeded"),
        Facts(
            pod=build_pod(phase="Running", containerStatuses=[{"name": "base", "state": {"running": {}}}]),
            log_tail=(RETRIED,),
        ),
        fail(RETRIED, "Traceback (most recent call last):", "  x", "ValueError: no rows"),
        fail(RETRIED, *["step"] * 9, "done with errors"),
        fail(RETRIED, reason="Evicted", message="The node was low on resource: memory."),
        fail("10:00:05 main.py:42 error: no rows"),
        fail("ModuleNotFoundError: No module named 'requests'"),
        fail("OSError: [Errno 14] Bad address"),
        fail("subprocess.TimeoutExpired: Command 'x' timed out after 5 seconds"),
        fail("PermissionError: [Errno 13] Permission denied: '/etc/hosts'"),
        fail("KeyError: 'host'"),
        fail(),
        Facts(log_tail=(RETRIED,)),
    ],
)
def test_program_without_a_failed_connection_has_no_finding(facts: Facts):
    assert find_own(facts) == []
