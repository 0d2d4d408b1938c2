"""scripts/local_cluster without a running cluster."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from common.errors import ScriptError
from common.polling import NotYet
from local_cluster import cgroups, dns
from local_cluster.certificates import ADMIN, API_SERVER, Pki, make_certificates
from local_cluster.cluster_paths import ClusterPaths, check_path_length
from local_cluster.components import NAMES, cluster_components
from local_cluster.config import TEMPLATES, image_store_config, render, template_values, write_config
from local_cluster.kubeconfigs import kubeconfig_path, write_kubeconfigs
from local_cluster.mounts import Mount, parse_mounts
from local_cluster.network import find_conflicting_routes
from local_cluster.processes import Process, parse_process_record
from local_cluster.status import Health, render_report


def dns_answer(number: int, flags: int, *records: bytes) -> bytes:
    question = dns.encode_question("kubernetes.default.svc.cluster.local", number)[12:]
    return struct.pack("!HHHHHH", number, flags, 1, len(records), 0, 0) + question + b"".join(records)


def dns_record(kind: int, data: bytes) -> bytes:
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(data)) + data


def test_dns_query_is_encoded_as_in_rfc_1035() -> None:
    assert (
        dns.encode_question("a.bc", 0x1234)
        == b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01"
    )


def test_dns_address_is_found_after_other_records() -> None:
    answer = dns_answer(7, 0x8180, dns_record(5, b"\x01x\xc0\x0c"), dns_record(1, bytes([198, 18, 128, 1])))
    assert dns.parse_first_address(answer, 7) == "198.18.128.1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (dns_answer(8, 0x8180), "another query"),
        (dns_answer(7, 0x8183), "error code 3"),
        (dns_answer(7, 0x8180), "no address"),
    ],
)
def test_dns_response_without_address_is_rejected(answer: bytes, reason: str) -> None:
    with pytest.raises(NotYet, match=reason):
        dns.parse_first_address(answer, 7)


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    """A cluster's files in an empty folder."""
    return ClusterPaths(tmp_path / "cluster")


def test_mount_names_are_unescaped() -> None:
    mountinfo = (
        "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,discard\n"
        "29 24 0:25 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
        r"31 24 0:26 / /with\040space\134 rw - tmpfs tmpfs rw" + "\n"
    )
    assert parse_mounts(mountinfo) == [
        Mount(Path("/"), "ext4", frozenset({"rw", "discard"})),
        Mount(Path("/sys/fs/cgroup/pids"), "cgroup", frozenset({"rw", "pids"})),
        Mount(Path("/with space\\"), "tmpfs", frozenset({"rw"})),
    ]


def cgroup_v2(folder: Path, controllers: str) -> Mount:
    folder.mkdir()
    (folder / "cgroup.controllers").write_text(controllers)
    return Mount(folder, "cgroup2", frozenset({"rw"}))


def test_mounted_state_folder_stays_mounted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    imports = "from local_cluster.cluster_paths import ClusterPaths; from local_cluster.teardown import unmount_volumes"
    steps = (
        f"mount -t tmpfs state {state}",
        f"mkdir {state}/kubelet",
        f"mount -t tmpfs volume {state}/kubelet",
        f"{sys.executable} -c \"{imports}; from pathlib import Path; unmount_volumes(ClusterPaths(Path('{state}')))\"",
        f"grep -o '{state}[^ ]*' /proc/self/mounts",
    )
    words = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", " && ".join(steps))
    scripts = Path(__file__).parents[2] / "scripts"
    process = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, cwd=scripts)
    assert (process.stdout, process.stderr, process.returncode) == (f"{state}\n", "", 0)


def test_components_use_a_leaf_with_cgroup_v2(tmp_path: Path) -> None:
    trees = cgroups.select_hierarchies([cgroup_v2(tmp_path / "cgroup", "cpuset cpu memory pids\n")])
    assert cgroups.component_cgroup(trees) == tmp_path / "cgroup/kpo-platform/components"


def test_components_use_the_pids_hierarchy_with_both_versions(tmp_path: Path) -> None:
    unified = cgroup_v2(tmp_path / "unified", "")
    memory = Mount(tmp_path / "memory", "cgroup", frozenset({"rw", "memory"}))
    pids = Mount(tmp_path / "pids", "cgroup", frozenset({"rw", "pids"}))
    assert (
        cgroups.component_cgroup(cgroups.select_hierarchies([unified, memory, pids]))
        == tmp_path / "pids/kpo-platform/components"
    )


def test_machine_without_pids_controller_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="pids controller"):
        cgroups.component_cgroup(cgroups.select_hierarchies([cgroup_v2(tmp_path / "unified", "")]))


def test_cgroup_v2_controllers_are_delegated(tmp_path: Path) -> None:
    cgroups.create_cgroups(cgroups.select_hierarchies([cgroup_v2(tmp_path / "cgroup", "pids cpu\n")]))
    assert (tmp_path / "cgroup/cgroup.subtree_control").read_text() == "+cpu +pids"
    assert (tmp_path / "cgroup/kpo-platform/components").is_dir()


def test_cluster_processes_are_listed_in_all_hierarchies(tmp_path: Path) -> None:
    trees = cgroups.select_hierarchies(
        [Mount(tmp_path / name, "cgroup", frozenset({name})) for name in ("pids", "memory")]
    )
    for group, processes in {
        "pids": "1\n",
        "pids/kpo-platform/components": "10\n11\n",
        "pids/kpo-platform/kubepods/pod1/a": "12\n",
        "memory/kpo-platform/kubepods/pod1/a": "12\n13\n0\n",
    }.items():
        (tmp_path / group).mkdir(parents=True)
        (tmp_path / group / "cgroup.procs").write_text(processes)
    assert cgroups.list_processes(trees) == {10, 11, 12, 13}


def test_overlapping_routes_are_conflicts() -> None:
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "198.18.64.0/18", "dev": "kpo-host"},
        {"dst": "198.18.0.0/16", "dev": "tun0"},
        {"type": "blackhole", "dst": "198.19.7.7"},
        {"dst": "192.0.0.0/3", "dev": "wg0"},
    ]
    assert find_conflicting_routes(routes) == ["198.18.0.0/16 dev tun0", "198.19.7.7 dev -", "192.0.0.0/3 dev wg0"]


STAT = "4711 (a (strange) name) {state} 1 4711 4711 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 998877 1000 1\n"


def test_process_is_identified_by_boot_id_and_start_tick() -> None:
    assert parse_process_record("boot-1\n" + STAT.format(state="S")) == Process(4711, 998877, "boot-1")


@pytest.mark.parametrize("record", ["", "boot-1\n", "boot-1\n4711 (half", "boot-1\n" + STAT.format(state="Z")])
def test_incomplete_record_and_zombie_are_no_process(record: str) -> None:
    assert parse_process_record(record) is None


def test_rendered_configuration_is_complete_and_well_formed(paths: ClusterPaths) -> None:
    write_config(paths)
    for file in paths.config.rglob("*"):
        if file.suffix == ".yaml":
            assert list(yaml.safe_load_all(file.read_text()))
        elif file.suffix in {".json", ".conflist"}:
            assert json.loads(file.read_text())
        elif file.suffix == ".toml":
            assert tomllib.loads(file.read_text())["version"] == 2
    assert {file.name for file in paths.config.rglob("*") if file.is_file()} == {
        *(template.name for template in TEMPLATES.iterdir()),
        image_store_config(paths).name,
    }


def test_kubelet_never_deletes_an_image(paths: ClusterPaths) -> None:
    template = (TEMPLATES / "kubelet.yaml").read_text()
    kubelet = yaml.safe_load(render(template, template_values(paths)))
    assert kubelet["imageGCHighThresholdPercent"] == 100  # 100 is off
    assert kubelet["evictionHard"] == {"memory.available": "100Mi"}


def test_unknown_template_variable_raises_key_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        render("paint: ${colour}", {})


def test_every_component_has_a_name(paths: ClusterPaths) -> None:
    assert tuple(cluster_components(paths, Path("/programs"))) == NAMES


def test_certificates_are_signed_by_the_ca_and_contain_their_names(paths: ClusterPaths) -> None:
    paths.state.mkdir()
    make_certificates(paths)
    pki = Pki(paths.pki)
    certificates = [path for path in sorted(pki.folder.glob("*.crt")) if path != pki.ca_certificate]
    verified = openssl("verify", "-CAfile", str(pki.ca_certificate), *map(str, certificates))
    assert verified.splitlines() == [f"{path}: OK" for path in certificates]
    admin = openssl("x509", "-in", str(pki.certificate(ADMIN)), "-noout", "-subject", "-ext", "extendedKeyUsage")
    assert "O = system:masters, CN = admin" in admin
    assert "TLS Web Client Authentication" in admin
    server = openssl("x509", "-in", str(pki.certificate(API_SERVER)), "-noout", "-ext", "subjectAltName")
    assert "DNS:kubernetes.default.svc" in server
    assert "IP Address:198.18.0.2, IP Address:198.18.128.1" in server


def openssl(*words: str) -> str:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


def test_kubeconfig_is_self_contained_and_private(paths: ClusterPaths) -> None:
    paths.state.mkdir()
    make_certificates(paths)
    write_kubeconfigs(paths)
    file, pki = kubeconfig_path(paths, ADMIN), Pki(paths.pki)
    assert file == paths.admin_kubeconfig
    assert file.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(file.read_text())
    assert content["current-context"] == content["contexts"][0]["name"] == "kpo-platform"
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    assert cluster["server"] == "https://198.18.0.2:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == pki.ca_certificate.read_bytes()
    assert base64.b64decode(user["client-certificate-data"]) == pki.certificate(ADMIN).read_bytes()
    assert base64.b64decode(user["client-key-data"]) == pki.key(ADMIN).read_bytes()


def test_status_report_shows_each_component_with_evidence(paths: ClusterPaths) -> None:
    start_time = datetime(2026, 1, 2, 3, 4, 5).timestamp()  # in the machine's own time zone, as it is shown
    components = [
        Health("etcd", 42, start_time, True, '/health {"health":\n"true"}'),
        Health("kubelet", None, None, False, "not running"),
    ]
    assert render_report(paths, components).splitlines()[:4] == [
        "COMPONENT  PID  SINCE                HEALTHY  EVIDENCE",
        'etcd       42   2026-01-02 03:04:05  yes      /health {"health": "true"}',
        "kubelet    -    -                    NO       not running",
        "",
    ]


def test_cache_path_too_long_for_sockets_is_rejected() -> None:
    with pytest.raises(ScriptError) as error:
        check_path_length(ClusterPaths(Path("/home", "d" * 60, "kpo-platform", "cluster")))
    assert str(error.value) == (
        f"Cannot start a cluster in /home/{'d' * 60}/kpo-platform/cluster: the path has 87 characters, "
        "and its sockets allow at most 72. Set XDG_CACHE_HOME to a shorter path."
    )
