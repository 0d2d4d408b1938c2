"""Programs that fail, are killed, or run too long."""

from __future__ import annotations

from functools import partial

from benchmarks.fault_scores.catalogue.references import build_volume
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PYTHON, Build, Expected, Fault, Json, Place
from local_cluster.addresses import NODE

_PRIVILEGED = Place({"podSecurity": "baseline"}, level="privileged")
_PYTHON_MEMORY = {"requests": {"memory": "128Mi"}, "limits": {"memory": "128Mi"}}


def out_of_memory(draw: Draw) -> Fault:
    """A program that needs more memory than its limit, and less than twice of it."""
    limit = draw.randint(24, 40)
    program = f"head -c {int(limit * 1.4)}m /dev/zero | tail -c 100m | wc -c"
    resources = {"requests": {"memory": f"{limit}Mi"}, "limits": {"memory": f"{limit}Mi"}}
    container = {"command": ["sh", "-c", f"set -o pipefail; {program}"], "resources": resources}
    words = (r"memory|OOM", f"{limit}Mi|OOMKilled")
    return Fault("memory", Expected(("KPO-END101",), words, advice="limit|size", is_healable=True), container=container)


def signalled(_: Draw, signal: str, code: str, word: str) -> Fault:
    """A program that a signal ends."""
    numbers = {"KILL": 137, "TERM": 143, "SEGV": 139, "ABRT": 134, "BUS": 135, "HUP": 129, "ILL": 132}
    command = ["sh", "-c", f"sleep 60 & kill -{signal} $!; wait $!"]
    expected = Expected((code,), (word, f"{numbers[signal]}|SIG{signal}"), advice=".")
    return Fault(f"signal-{signal}", expected, container={"command": command})


def unknown_command(draw: Draw) -> Fault:
    """A shell that does not find a command."""
    command = draw.name()
    expected = Expected(("KPO-END109",), (command, r"not found|not exist"), advice="cmds|arguments|install")
    return Fault("exit-127", expected, container={"command": ["sh", "-c", f"{command} --all"]})


def not_executable(_: Draw) -> Fault:
    """A shell that may not execute a file."""
    expected = Expected(("KPO-END108",), ("/etc/passwd", r"permission|execut"), advice="chmod|interpreter")
    return Fault("exit-126", expected, container={"command": ["sh", "-c", "/etc/passwd"]})


def failed(draw: Draw) -> Fault:
    """A program that says why it fails, and ends with an exit code."""
    code, reason = draw.randint(2, 100), draw.path()
    command = ["sh", "-c", f"echo loading; echo 'ERROR: cannot parse {reason}' >&2; exit {code}"]
    expected = Expected(("KPO-END111",), (str(code), reason), advice="log|program")
    return Fault("exit", expected, container={"command": command})


def raised(draw: Draw) -> Fault:
    """A Python program that raises an exception."""
    reason = draw.name()
    command = ["python", "-c", f"import sys; print('step 1'); raise ValueError('no column {reason}')"]
    expected = Expected(("KPO-END111",), (r"ValueError", reason), advice="log|program")
    return Fault("exception", expected, container=_python(command))


def no_memory_left(_: Draw) -> Fault:
    """A Python program that limits its own memory."""
    program = "import resource as r; r.setrlimit(r.RLIMIT_AS, (10**8, 10**8)); bytearray(10**9)"
    expected = Expected(("KPO-END112",), (r"memory",), advice="size|limit|memory")
    return Fault("memory-error", expected, container=_python(["python", "-c", program]))


def deadline(draw: Draw) -> Fault:
    """A program that needs longer than the pod may run."""
    seconds = draw.randint(3, 5)
    expected = Expected(
        ("KPO-END113",), (r"deadline|longer", f"{seconds} ?s|{seconds} seconds|activeDeadline"), is_healable=True
    )
    container = {"command": ["sh", "-c", "echo started; sleep 12"]}
    return Fault("deadline", expected, {"activeDeadlineSeconds": seconds}, container)


def full_volume(draw: Draw) -> Fault:
    """A program that writes more into a volume than its size limit."""
    name, size = draw.name(), draw.randint(8, 12)
    spec, container = build_volume(name, {"emptyDir": {"sizeLimit": f"{size}Mi"}})
    write = f"dd if=/dev/zero of=/mnt/{name}/data bs=1M count={size + 6}; sleep 75"
    expected = Expected(("KPO-END114",), (name, r"limit|exceed"), advice="sizeLimit|size", is_healable=True)
    return Fault("volume-full", expected, spec, {**container, "command": ["sh", "-c", write]}, settle_s=80)


def full_disk(draw: Draw) -> Fault:
    """A program that writes more to the node's disk than its limit."""
    size = draw.randint(8, 12)
    amount = {"ephemeral-storage": f"{size}Mi", "memory": "64Mi", "cpu": "50m"}
    write = f"dd if=/dev/zero of=/tmp/data bs=1M count={size + 6}; sleep 75"
    expected = Expected(("KPO-END114",), (r"ephemeral", r"limit|exceed"), advice="size|ephemeral", is_healable=True)
    container = {"command": ["sh", "-c", write], "resources": {"requests": amount, "limits": amount}}
    return Fault("disk-full", expected, container=container, settle_s=80)


def forbidden_setting(draw: Draw) -> Fault:
    """A kernel setting that the node does not allow."""
    setting = draw.choice(["kernel.msgmax", "kernel.sem", "fs.mqueue.msg_max"])
    spec: Json = {"securityContext": {"sysctls": [{"name": setting, "value": "1"}]}}
    expected = Expected(("KPO-END115",), (r"sysctl", setting), advice="sysctl|remove")
    return Fault("sysctl", expected, spec, place=_PRIVILEGED, engines=("diagnose", "stock"))


def refused_by_node(draw: Draw) -> Fault:
    """A pod with the name of a node that has no room for it."""
    amount = str(draw.randint(50, 90))
    container = {"resources": {"requests": {"cpu": amount}, "limits": {"cpu": amount}}}
    expected = Expected(
        ("KPO-END116",), (r"cpu", r"room|out ?of|not enough|insufficient"), advice="again|nodeName|node"
    )
    return Fault("node-refuses", expected, {"nodeName": NODE}, container, engines=("diagnose", "stock"))


def _python(command: list[str]) -> Json:
    return {"image": PYTHON, "command": command, "resources": _PYTHON_MEMORY}


_SIGNALS = {
    "KILL": ("KPO-END102", r"kill"),
    "TERM": ("KPO-END103", r"SIGTERM|terminat|143"),
    "SEGV": ("KPO-END104", r"segmentation|SIGSEGV"),
    "ABRT": ("KPO-END105", r"abort"),
    "BUS": ("KPO-END106", r"shared memory|bus error|SIGBUS"),
    "HUP": ("KPO-END107", r"SIGHUP|signal"),
    "ILL": ("KPO-END107", r"SIGILL|illegal"),
}

FAULTS: tuple[Build, ...] = (
    out_of_memory,
    *(partial(signalled, signal=name, code=code, word=word) for name, (code, word) in _SIGNALS.items()),
    *(unknown_command, not_executable, failed, raised, no_memory_left, deadline, full_volume, full_disk),
    forbidden_setting,
    refused_by_node,
)
"""The kinds of this family."""
