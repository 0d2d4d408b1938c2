"""scripts/images without builds: digests of images, and package access settings."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from common.package_index import find_ca_bundle, read_pip_settings, select_variables
from common.paths import cache_path
from images.apt import select_sources
from images.archive import add_docker_manifest
from images.build import archive_path, build_images
from images.package_access import format_shell_exports
from images.recipes import AIRFLOW, DEBIAN, GIT_SERVER, RECIPES


def test_containerfile_takes_its_base_as_an_argument():
    for recipe in RECIPES.values():
        text = recipe.containerfile.read_text()
        assert "\nARG BASE_IMAGE=docker.io/" in text
        assert "\nFROM ${BASE_IMAGE}\n" in text


def test_containerfiles_copy_only_files_of_the_digest():
    for recipe in RECIPES.values():
        copied = [
            Path(word)
            for line in recipe.containerfile.read_text().splitlines()
            if line.startswith("COPY ")
            for word in line.split()[1:-1]
            if not word.startswith("--")
        ]
        compiled = [Path("program")] if recipe.program else []
        assert all(path in compiled or any(file.match(str(path)) for file in recipe.files) for path in copied), (
            recipe.name
        )


def test_digest_changes_with_file_setting_tag_and_base(tmp_path: Path):
    file = tmp_path / "requirements.txt"
    file.write_text("uv==1")
    recipe = replace(GIT_SERVER, extra_files=(file,))
    before = recipe.digest
    others = {
        replace(recipe, settings=("--quick",)).digest,
        replace(recipe, tag="13").digest,
        replace(recipe, base=replace(DEBIAN, settings=())).digest,
    }
    file.write_text("uv==2")
    assert len({before, recipe.digest, *others}) == 5


def test_digest_ignores_files_of_other_images():
    assert not {file.name for file in AIRFLOW.files} & {"serve"}


def test_cached_image_is_not_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive = archive_path(GIT_SERVER)
    archive.parent.mkdir(parents=True)
    archive.touch()
    messages: list[str] = []
    assert build_images(messages.append, ["git-server"]) == {"git-server": archive}
    assert messages == []
    assert archive == cache_path("images", GIT_SERVER.digest, "git-server.tar")


def test_only_index_and_proxy_variables_are_passed_on():
    environment = {
        "PIP_INDEX_URL": "https://pip.example/simple",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_FIND_LINKS": "/opt/wheels",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HOME": "/root",
    }
    assert select_variables(environment, {}) == {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_INDEX_URL": "https://pip.example/simple",
        "UV_DEFAULT_INDEX": "https://pip.example/simple",
        "https_proxy": "http://proxy.example:3128",
    }


def test_variables_override_pip_configuration_but_not_uv():
    environment = {"PIP_INDEX_URL": "https://variable.example", "UV_DEFAULT_INDEX": "https://uv.example"}
    pip = {"PIP_INDEX_URL": "https://file.example", "PIP_TRUSTED_HOST": "file.example"}
    assert select_variables(environment, pip) == {
        "PIP_INDEX_URL": "https://variable.example",
        "PIP_TRUSTED_HOST": "file.example",
        "UV_DEFAULT_INDEX": "https://uv.example",
        "UV_INSECURE_HOST": "file.example",
    }


def test_last_pip_configuration_file_wins(tmp_path: Path):
    machine, user = tmp_path / "machine.conf", tmp_path / "user.conf"
    machine.write_text("[global]\nindex-url = https://machine.example\ntrusted-host = a.example\n  b.example\n")
    user.write_text("[install]\nindex-url = https://100%25.example\n")
    assert read_pip_settings([str(machine), str(user), str(tmp_path / "absent.conf")]) == {
        "PIP_INDEX_URL": "https://100%25.example",
        "PIP_TRUSTED_HOST": "a.example b.example",
    }


def test_exports_are_quoted_and_point_at_mounted_files():
    assert format_shell_exports({"PIP_INDEX_URL": "https://u:p'a$s@pip.example"}, has_ca_bundle=True) == (
        "export PIP_INDEX_URL='https://u:p'\"'\"'a$s@pip.example'\n"
        "export APT_CONFIG=/mnt/apt.conf\n"
        "export PIP_CERT=/mnt/certificates.pem\n"
        "export SSL_CERT_FILE=/mnt/certificates.pem\n"
    )


def test_first_existing_certificate_file_is_used(tmp_path: Path):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    assert find_ca_bundle({"SSL_CERT_FILE": str(tmp_path / "absent.pem"), "PIP_CERT": str(bundle)}) == bundle


def test_only_debian_sources_of_the_release_are_selected():
    targets = [
        "Debian|bookworm|http://mirror.example/debian/|main",
        "Debian|bookworm|http://mirror.example/debian/|main",
        "Debian|bookworm-security|http://mirror.example/debian-security/|main",
        "Debian|bookworm-backports|http://mirror.example/debian/|main",
        "Debian|trixie|http://mirror.example/debian/|main",
        "Vendor|bookworm|http://elsewhere.example/|main",
    ]
    assert select_sources("bookworm", targets) == [
        "deb http://mirror.example/debian-security/ bookworm-security main",
        "deb http://mirror.example/debian/ bookworm main",
    ]


def test_oci_archive_gets_a_docker_manifest(tmp_path: Path):
    manifest = {"config": {"digest": "sha256:c0"}, "layers": [{"digest": "sha256:11"}, {"digest": "sha256:12"}]}
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        _add(tar, "index.json", {"manifests": [{"digest": "sha256:aa"}]})
        _add(tar, "blobs/sha256/aa", manifest)
    add_docker_manifest(archive, "localhost/mine:1")
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["index.json", "blobs/sha256/aa", "manifest.json"]
        assert json.load(tar.extractfile("manifest.json") or io.BytesIO()) == [
            {
                "Config": "blobs/sha256/c0",
                "RepoTags": ["localhost/mine:1"],
                "Layers": ["blobs/sha256/11", "blobs/sha256/12"],
            }
        ]


def _add(tar: tarfile.TarFile, name: str, content: object) -> None:
    text = json.dumps(content).encode()
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text))
