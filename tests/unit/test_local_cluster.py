"""scripts/local_cluster: everything that can be told without a running cluster."""

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
from common.waiting import NotYet
from local_cluster import cgroups, dns
from local_cluster.certificates import ADMIN, API_SERVER, Pki, make_certificates
from local_cluster.cluster_paths import Layout, require_short
from local_cluster.components import NAMES, parts_of
from local_cluster.config import TEMPLATES, render, store_config, values_of, write_config
from local_cluster.kubeconfigs import kubeconfig_of, write_kubeconfigs
from local_cluster.mounts import Mount, parse_mounts
from local_cluster.network import conflicts
from local_cluster.processes import Process, parse_record
from local_cluster.status import Health, report


def dns_answer(number: int, flags: int, *records: bytes) -> bytes:
    question = dns.question("kubernetes.default.svc.cluster.local", number)[12:]
    return struct.pack("!HHHHHH", number, flags, 1, len(records), 0, 0) + question + b"".join(records)


def dns_record(kind: int, data: bytes) -> bytes:
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(data)) + data


def test_a_dns_question_is_written_as_rfc_1035_says() -> None:
    assert (
        dns.question("a.bc", 0x1234)
        == b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01"
    )


def test_the_first_address_of_a_dns_answer_is_found_behind_other_records() -> None:
    answer = dns_answer(7, 0x8180, dns_record(5, b"\x01x\xc0\x0c"), dns_record(1, bytes([198, 18, 128, 1])))
    assert dns.first_address(answer, 7) == "198.18.128.1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (dns_answer(8, 0x8180), "another question"),
        (dns_answer(7, 0x8183), "error code 3"),
        (dns_answer(7, 0x8180), "no address"),
    ],
)
def test_a_dns_answer_without_an_address_is_not_yet_one(answer: bytes, reason: str) -> None:
    with pytest.raises(NotYet, match=reason):
        dns.first_address(answer, 7)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A cluster's files in an empty folder."""
    return Layout(tmp_path / "cluster")


def test_mounts_are_read_with_their_names_unescaped() -> None:
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


def test_a_state_folder_that_is_a_mount_of_its_owner_stays_mounted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ours = "from local_cluster.cluster_paths import Layout; from local_cluster.teardown import unmount_own"
    steps = (
        f"mount -t tmpfs state {state}",
        f"mkdir {state}/kubelet",
        f"mount -t tmpfs volume {state}/kubelet",
        f"{sys.executable} -c \"{ours}; from pathlib import Path; unmount_own(Layout(Path('{state}')))\"",
        f"grep -o '{state}[^ ]*' /proc/self/mounts",
    )
    words = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", " && ".join(steps))
    scripts = Path(__file__).parents[2] / "scripts"
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, cwd=scripts)
    assert (done.stdout, done.stderr, done.returncode) == (f"{state}\n", "", 0)


def test_with_cgroup_v2_the_parts_live_in_a_leaf_of_the_one_tree(tmp_path: Path) -> None:
    trees = cgroups.hierarchies([cgroup_v2(tmp_path / "cgroup", "cpuset cpu memory pids\n")])
    assert cgroups.home_of_parts(trees) == tmp_path / "cgroup/kpo-platform/parts"


def test_with_both_cgroup_versions_the_parts_live_where_the_pids_controller_is(tmp_path: Path) -> None:
    unified = cgroup_v2(tmp_path / "unified", "")
    memory = Mount(tmp_path / "memory", "cgroup", frozenset({"rw", "memory"}))
    pids = Mount(tmp_path / "pids", "cgroup", frozenset({"rw", "pids"}))
    assert cgroups.home_of_parts(cgroups.hierarchies([unified, memory, pids])) == tmp_path / "pids/kpo-platform/parts"


def test_a_machine_without_the_pids_controller_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="pids controller"):
        cgroups.home_of_parts(cgroups.hierarchies([cgroup_v2(tmp_path / "unified", "")]))


def test_cgroup_v2_hands_its_controllers_down(tmp_path: Path) -> None:
    cgroups.make_cgroups(cgroups.hierarchies([cgroup_v2(tmp_path / "cgroup", "pids cpu\n")]))
    assert (tmp_path / "cgroup/cgroup.subtree_control").read_text() == "+cpu +pids"
    assert (tmp_path / "cgroup/kpo-platform/parts").is_dir()


def test_all_processes_below_the_clusters_cgroup_are_found_in_all_trees(tmp_path: Path) -> None:
    trees = cgroups.hierarchies([Mount(tmp_path / name, "cgroup", frozenset({name})) for name in ("pids", "memory")])
    for group, processes in {
        "pids": "1\n",
        "pids/kpo-platform/parts": "10\n11\n",
        "pids/kpo-platform/kubepods/pod1/a": "12\n",
        "memory/kpo-platform/kubepods/pod1/a": "12\n13\n0\n",
    }.items():
        (tmp_path / group).mkdir(parents=True)
        (tmp_path / group / "cgroup.procs").write_text(processes)
    assert cgroups.processes(trees) == {10, 11, 12, 13}


def test_routes_of_others_in_the_clusters_range_are_conflicts() -> None:
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "198.18.64.0/18", "dev": "kpo-host"},
        {"dst": "198.18.0.0/16", "dev": "tun0"},
        {"type": "blackhole", "dst": "198.19.7.7"},
        {"dst": "192.0.0.0/3", "dev": "wg0"},
    ]
    assert conflicts(routes) == ["198.18.0.0/16 dev tun0", "198.19.7.7 dev -", "192.0.0.0/3 dev wg0"]


STAT = "4711 (a (strange) name) {state} 1 4711 4711 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 998877 1000 1\n"


def test_a_process_is_known_by_boot_id_and_beginning() -> None:
    assert parse_record("boot-1\n" + STAT.format(state="S")) == Process(4711, 998877, "boot-1")


@pytest.mark.parametrize("record", ["", "boot-1\n", "boot-1\n4711 (half", "boot-1\n" + STAT.format(state="Z")])
def test_half_a_record_and_a_zombie_are_no_process(record: str) -> None:
    assert parse_record(record) is None


def test_all_configuration_is_complete_and_well_formed(layout: Layout) -> None:
    write_config(layout)
    for file in layout.config.rglob("*"):
        if file.suffix == ".yaml":
            assert list(yaml.safe_load_all(file.read_text()))
        elif file.suffix in {".json", ".conflist"}:
            assert json.loads(file.read_text())
        elif file.suffix == ".toml":
            assert tomllib.loads(file.read_text())["version"] == 2
    assert {file.name for file in layout.config.rglob("*") if file.is_file()} == {
        *(template.name for template in TEMPLATES.iterdir()),
        store_config(layout).name,
    }


def test_the_kubelet_never_removes_an_image(layout: Layout) -> None:
    template = (TEMPLATES / "kubelet.yaml").read_text()
    kubelet = yaml.safe_load(render(template, values_of(layout)))
    assert kubelet["imageGCHighThresholdPercent"] == 100  # 100 is off
    assert kubelet["evictionHard"] == {"memory.available": "100Mi"}


def test_a_template_that_asks_for_something_unknown_is_an_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        render("paint: ${colour}", {})


def test_every_part_can_be_named(layout: Layout) -> None:
    assert tuple(parts_of(layout, Path("/programs"))) == NAMES


def test_certificates_are_signed_by_the_authority_and_bear_their_names(layout: Layout) -> None:
    layout.state.mkdir()
    make_certificates(layout)
    pki = Pki(layout.pki)
    certificates = [path for path in sorted(pki.folder.glob("*.crt")) if path != pki.authority]
    verified = openssl("verify", "-CAfile", str(pki.authority), *map(str, certificates))
    assert verified.splitlines() == [f"{path}: OK" for path in certificates]
    admin = openssl("x509", "-in", str(pki.certificate(ADMIN)), "-noout", "-subject", "-ext", "extendedKeyUsage")
    assert "O = system:masters, CN = admin" in admin
    assert "TLS Web Client Authentication" in admin
    server = openssl("x509", "-in", str(pki.certificate(API_SERVER)), "-noout", "-ext", "subjectAltName")
    assert "DNS:kubernetes.default.svc" in server
    assert "IP Address:198.18.0.2, IP Address:198.18.128.1" in server


def openssl(*words: str) -> str:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


def test_a_kubeconfig_holds_all_that_is_needed_and_is_for_its_owner_only(layout: Layout) -> None:
    layout.state.mkdir()
    make_certificates(layout)
    write_kubeconfigs(layout)
    file, pki = kubeconfig_of(layout, ADMIN), Pki(layout.pki)
    assert file == layout.admin_kubeconfig
    assert file.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(file.read_text())
    assert content["current-context"] == content["contexts"][0]["name"] == "kpo-platform"
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    assert cluster["server"] == "https://198.18.0.2:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == pki.authority.read_bytes()
    assert base64.b64decode(user["client-certificate-data"]) == pki.certificate(ADMIN).read_bytes()
    assert base64.b64decode(user["client-key-data"]) == pki.key(ADMIN).read_bytes()


def test_the_status_shows_each_part_with_its_evidence(layout: Layout) -> None:
    began = datetime(2026, 1, 2, 3, 4, 5).timestamp()  # in the machine's own time zone, as it is shown
    parts = [
        Health("etcd", 42, began, True, '/health {"health":\n"true"}'),
        Health("kubelet", None, None, False, "not running"),
    ]
    assert report(layout, parts).splitlines()[:4] == [
        "PART     PID  SINCE                WELL  EVIDENCE",
        'etcd     42   2026-01-02 03:04:05  yes   /health {"health": "true"}',
        "kubelet  -    -                    NO    not running",
        "",
    ]


def test_a_cache_folder_too_deep_for_sockets_is_refused() -> None:
    with pytest.raises(ScriptError) as refusal:
        require_short(Layout(Path("/home", "d" * 60, "kpo-platform", "cluster")))
    assert str(refusal.value) == (
        f"The path /home/{'d' * 60}/kpo-platform/cluster is too long for the sockets of a cluster in it "
        "(87 characters, at most 72): set XDG_CACHE_HOME to a shorter folder."
    )
