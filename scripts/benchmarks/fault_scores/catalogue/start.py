"""Containers that the node cannot start, and commands that it cannot execute."""

from __future__ import annotations

from functools import partial

from benchmarks.fault_scores.catalogue.references import build_object, build_volume
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Build, Engine, Expected, Fault, Json, Place
from benchmarks.fault_scores.hosts import REGISTRY
from benchmarks.fault_scores.images import EMPTY_IMAGE, LOGIN_SECRET, NAMED_USER_IMAGE, OTHER_FOLDER_IMAGE
from local_cluster.node_images.base_images import BUSYBOX

_BASELINE = Place({"podSecurity": "baseline"})
_LOGIN: Json = {"imagePullSecrets": [{"name": LOGIN_SECRET}]}
_WITHOUT_TEAM: tuple[Engine, ...] = ("diagnose", "stock")
"""TeamPodOperator sets a user itself."""

_ANY_USER: Json = {"securityContext": {"runAsUser": None}}


def root_image(_: Draw) -> Fault:
    """An image that runs as root, in a pod that must not."""
    expected = Expected(("KPO-STA103",), (r"root",), advice="runAsUser", is_healable=True)
    return Fault("user-root", expected, _ANY_USER, {"image": BUSYBOX}, _BASELINE, engines=_WITHOUT_TEAM)


def named_user(draw: Draw) -> Fault:
    """An image that names its user, in a pod that must not run as root."""
    image = f"{REGISTRY}/{NAMED_USER_IMAGE}:{draw.randint(1, 9)}"
    expected = Expected(
        ("KPO-STA104",), (r"user", r"non-numeric|number|by name|a name"), advice="runAsUser", is_healable=True
    )
    return Fault("user-name", expected, {**_ANY_USER, **_LOGIN}, {"image": image}, _BASELINE, engines=_WITHOUT_TEAM)


def missing_user(draw: Draw) -> Fault:
    """An image whose user does not exist in it."""
    image = f"{REGISTRY}/{NAMED_USER_IMAGE}:{draw.randint(1, 9)}"
    spec: Json = {"securityContext": {"runAsUser": None, "runAsNonRoot": None}, **_LOGIN}
    expected = Expected(("KPO-STA105",), (r"user",), advice="user|runAsUser")
    return Fault("user-missing", expected, spec, {"image": image}, _BASELINE, engines=_WITHOUT_TEAM)


def sub_path(draw: Draw) -> Fault:
    """A subPath that leaves its volume."""
    path = f"../{draw.name()}"
    spec, container = build_volume("data", {"emptyDir": {}})
    container["volumeMounts"][0]["subPath"] = path
    expected = Expected(("KPO-STA106", "KPO-ADM116"), (r"subPath", r"\.\."), advice="subPath|volume_mounts")
    return Fault("sub-path", expected, spec, container, engines=("team", "stock"))


def sub_path_of_secret(draw: Draw) -> Fault:
    """A subPath that is missing in a volume to which the node may not write."""
    name, path = draw.name(), draw.key()
    spec, container = build_volume("data", {"configMap": {"name": name}})
    container["volumeMounts"] = [{"name": "data", "mountPath": "/mnt/data", "subPath": f"{path}/{draw.key()}"}]
    expected = Expected(("KPO-STA106",), (r"sub ?path", path), advice="subPath")
    objects = (build_object("ConfigMap", name, {path: draw.key()}),)
    return Fault("sub-path-file", expected, spec, container, objects=objects)


def mount_onto_file(draw: Draw) -> Fault:
    """A volume that is mounted at the path of a file."""
    spec, container = build_volume("data", {"emptyDir": {}})
    path = draw.choice(["/etc/passwd", "/etc/group"])
    container["volumeMounts"][0]["mountPath"] = path
    expected = Expected(("KPO-STA107",), (path, r"mount|not a directory"), advice="mountPath")
    return Fault("mount-path", expected, spec, container)


def tiny_memory(draw: Draw) -> Fault:
    """A memory limit that is too low to start anything."""
    amount = f"{draw.randint(100, 900)}Ki"
    resources = {"requests": {"memory": amount}, "limits": {"memory": amount}}
    expected = Expected(("KPO-STA108", "KPO-STA125"), (r"memory", r"limit|low|oom"), advice="memory", is_healable=True)
    return Fault("memory-start", expected, container={"resources": resources})


def missing_profile(draw: Draw) -> Fault:
    """A seccomp profile that the node does not have."""
    profile = f"{draw.name()}.json"
    context = {"seccompProfile": {"type": "Localhost", "localhostProfile": profile}}
    expected = Expected(("KPO-STA109",), (r"seccomp|profile", profile), advice="RuntimeDefault|profile")
    return Fault("seccomp", expected, container={"securityContext": context})


def failing_hook(draw: Draw) -> Fault:
    """A postStart hook that fails."""
    hook = {"postStart": {"exec": {"command": ["sh", "-c", f"exit {draw.randint(2, 60)}"]}}}
    expected = Expected(("KPO-STA113",), (r"post-?start",), advice="lifecycle|hook", is_healable=True)
    command = ["sh", "-c", "sleep 3"]
    return Fault("hook", expected, container={"lifecycle": hook, "command": command})


def command_as_text(draw: Draw) -> Fault:
    """A command that is one text instead of a list of words."""
    command = f"echo {draw.name()}"
    expected = Expected(
        ("KPO-STA114",), (r"not exist|not found|no such file", command), advice="list of words", is_healable=True
    )
    return Fault("command-text", expected, container={"command": [command]})


def missing_command(draw: Draw, path: str) -> Fault:
    """A command that the image does not have."""
    command = f"{path}{draw.name()}"
    expected = Expected(("KPO-STA114",), (r"not exist|not found|no such file", command), advice="cmds|install")
    return Fault("command-path" if path else "command-name", expected, container={"command": [command]})


def missing_argument(draw: Draw) -> Fault:
    """An entry point in the arguments that does not exist."""
    command = draw.name()
    expected = Expected(("KPO-STA114",), (r"not exist|not found|no such file", command), advice="arguments|install")
    return Fault("command-argument", expected, container={"command": None, "args": [command, draw.key()]})


def not_executable(_: Draw, command: str) -> Fault:
    """A command that is a directory or not executable."""
    expected = Expected(("KPO-STA115",), (command, r"permission|execut|directory"), advice="executable|cmds")
    name = "command-directory" if command.endswith("bin") else "command-permission"
    return Fault(name, expected, container={"command": [command]})


def long_arguments(draw: Draw) -> Fault:
    """An argument that is longer than Linux allows."""
    argument = draw.choice("xyz") * draw.randint(140_000, 300_000)
    expected = Expected(("KPO-STA117",), (r"long",), advice="file|volume|ConfigMap")
    return Fault("command-long", expected, container={"command": ["echo", argument]})


def script_without_interpreter(draw: Draw) -> Fault:
    """A script without a first line that names its interpreter."""
    name, script = draw.name(), draw.name()
    spec, container = build_volume("code", {"configMap": {"name": name, "defaultMode": 0o755}})
    objects = (build_object("ConfigMap", name, {script: f"echo {draw.key()}\n"}),)
    command = f"/mnt/code/{script}"
    words = (r"exec format|processor|first line", script)
    expected = Expected(("KPO-STA116", "KPO-END110"), words, advice="first line|platform")
    return Fault("command-script", expected, spec, {**container, "command": [command]}, objects=objects)


def working_folder(draw: Draw) -> Fault:
    """A working directory that the user may not enter."""
    image = f"{REGISTRY}/{OTHER_FOLDER_IMAGE}:{draw.randint(1, 9)}"
    expected = Expected(("KPO-STA118",), (r"working directory|chdir|workdir|cwd",), advice="WORKDIR|workingDir")
    return Fault("working-folder", expected, _LOGIN, {"image": image})


def no_command(draw: Draw) -> Fault:
    """An image without a command, and a pod without one."""
    image = f"{REGISTRY}/{EMPTY_IMAGE}:{draw.randint(1, 9)}"
    expected = Expected(("KPO-STA119",), (r"no command|neither .* has a command",), advice="cmds")
    return Fault("command-none", expected, _LOGIN, {"image": image, "command": None})


def missing_handler(draw: Draw) -> Fault:
    """A RuntimeClass whose runtime the node does not have."""
    name, handler = draw.name(), draw.name()
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}
    expected = Expected(
        ("KPO-STA123",),
        (r"runtime", f"{handler}|{name}"),
        "*",
        "runtime_class_name|RuntimeClass",
        who="*",
        is_healable=True,
    )
    return Fault("runtime-handler", expected, {"runtimeClassName": name}, objects=(runtime,))


def failing_init(draw: Draw) -> Fault:
    """An init container that fails."""
    name, code = draw.name(), draw.randint(2, 90)
    init = {"name": name, "command": ["sh", "-c", f"echo cannot read {draw.path()}; exit {code}"]}
    expected = Expected(("KPO-STA126",), (name, rf"{code}|fail"), advice="init|log")
    return Fault("init", expected, {"initContainers": [init]})


def hungry_init(draw: Draw) -> Fault:
    """An init container that needs more memory than its limit."""
    name = draw.name()
    command = ["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]
    resources = {"requests": {"memory": "16Mi", "cpu": "5m"}, "limits": {"memory": "16Mi", "cpu": "500m"}}
    init = {"name": name, "command": command, "resources": resources}
    expected = Expected(("KPO-STA127",), (name, r"memory|OOM"), advice="limit|memory")
    return Fault("init-memory", expected, {"initContainers": [init]})


def crashing_sidecar(draw: Draw) -> Fault:
    """A native sidecar that ends again and again before the program can start."""
    name = draw.name()
    probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 20}
    sidecar = {
        "name": name,
        "restartPolicy": "Always",
        "command": ["sh", "-c", f"exit {draw.randint(1, 9)}"],
        "startupProbe": probe,
    }
    expected = Expected(("KPO-STA129",), (name,), advice="sidecar|log", signal="CrashLoopBackOff")
    return Fault("sidecar-crash", expected, {"initContainers": [sidecar]}, settle_s=35)


def waiting_sidecar(draw: Draw) -> Fault:
    """A native sidecar that does not pass its startup probe."""
    name = draw.name()
    probe = {"tcpSocket": {"port": draw.randint(2000, 9000)}, "periodSeconds": 5, "failureThreshold": 100}
    sidecar = {"name": name, "restartPolicy": "Always", "command": ["sleep", "600"], "startupProbe": probe}
    expected = Expected(
        ("KPO-STA130",), (name, r"startup ?probe"), advice="startupProbe", is_healable=True, silence_s=60
    )
    return Fault("sidecar-probe", expected, {"initContainers": [sidecar]}, settle_s=75)


FAULTS: tuple[Build, ...] = (
    *(root_image, named_user, missing_user, sub_path, sub_path_of_secret, mount_onto_file, tiny_memory),
    *(missing_profile, failing_hook, command_as_text, missing_argument),
    *(partial(missing_command, path=path) for path in ("", "/opt/")),
    *(partial(not_executable, command=command) for command in ("/etc/passwd", "/bin")),
    *(long_arguments, script_without_interpreter, working_folder, no_command, missing_handler),
    *(failing_init, hungry_init, crashing_sidecar, waiting_sidecar),
)
"""The kinds of this family."""
