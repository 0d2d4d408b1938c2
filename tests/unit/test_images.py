"""The pure parts of scripts/images: what an image's digest depends on, and how a machine's package access is read."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from common.package_access import certificates, chosen_variables, pip_settings
from common.paths import cache_folder
from images.access import shell_exports
from images.apt import sources_of
from images.archive import add_docker_manifest
from images.build import archive_of, build_all
from images.recipes import AIRFLOW, DEBIAN, GIT_SERVER, RECIPES


def test_every_recipe_has_a_containerfile_that_builds_on_a_base_given_as_an_argument():
    for recipe in RECIPES.values():
        text = recipe.containerfile.read_text()
        assert "\nARG BASE_IMAGE=docker.io/" in text
        assert "\nFROM ${BASE_IMAGE}\n" in text


def test_containerfiles_copy_only_files_that_the_digest_depends_on():
    for recipe in RECIPES.values():
        copied = [
            Path(word)
            for line in recipe.containerfile.read_text().splitlines()
            if line.startswith("COPY ")
            for word in line.split()[1:-1]
            if not word.startswith("--")
        ]
        made = [Path("program")] if recipe.program else []
        assert all(path in made or any(file.match(str(path)) for file in recipe.files) for path in copied), recipe.name


def test_the_digest_changes_with_a_file_a_setting_the_tag_and_the_base(tmp_path: Path):
    file = tmp_path / "requirements.txt"
    file.write_text("uv==1")
    recipe = replace(GIT_SERVER, shared_files=(file,))
    before = recipe.digest
    others = {
        replace(recipe, settings=("--quick",)).digest,
        replace(recipe, tag="13").digest,
        replace(recipe, base=replace(DEBIAN, settings=())).digest,
    }
    file.write_text("uv==2")
    assert len({before, recipe.digest, *others}) == 5


def test_the_digest_does_not_depend_on_files_of_other_images():
    assert not {file.name for file in AIRFLOW.files} & {"serve"}


def test_an_image_that_is_in_the_cache_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive = archive_of(GIT_SERVER)
    archive.parent.mkdir(parents=True)
    archive.touch()
    said: list[str] = []
    assert build_all(said.append, ["git-server"]) == {"git-server": archive}
    assert said == []
    assert archive == cache_folder("images", GIT_SERVER.digest, "git-server.tar")


def test_variables_of_package_indexes_and_proxies_are_handed_on_and_no_others():
    environment = {
        "PIP_INDEX_URL": "https://pip.example/simple",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_FIND_LINKS": "/opt/wheels",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HOME": "/root",
    }
    assert chosen_variables(environment, {}) == {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_INDEX_URL": "https://pip.example/simple",
        "UV_DEFAULT_INDEX": "https://pip.example/simple",
        "https_proxy": "http://proxy.example:3128",
    }


def test_variables_are_stronger_than_pips_configuration_and_uvs_own_stay_as_they_are():
    environment = {"PIP_INDEX_URL": "https://variable.example", "UV_DEFAULT_INDEX": "https://uv.example"}
    pip = {"PIP_INDEX_URL": "https://file.example", "PIP_TRUSTED_HOST": "file.example"}
    assert chosen_variables(environment, pip) == {
        "PIP_INDEX_URL": "https://variable.example",
        "PIP_TRUSTED_HOST": "file.example",
        "UV_DEFAULT_INDEX": "https://uv.example",
        "UV_INSECURE_HOST": "file.example",
    }


def test_pips_configuration_is_read_from_all_its_files_the_last_one_wins(tmp_path: Path):
    machine, user = tmp_path / "machine.conf", tmp_path / "user.conf"
    machine.write_text("[global]\nindex-url = https://machine.example\ntrusted-host = a.example\n  b.example\n")
    user.write_text("[install]\nindex-url = https://100%25.example\n")
    assert pip_settings([str(machine), str(user), str(tmp_path / "absent.conf")]) == {
        "PIP_INDEX_URL": "https://100%25.example",
        "PIP_TRUSTED_HOST": "a.example b.example",
    }


def test_exports_survive_a_shell_and_point_at_the_mounted_files():
    assert shell_exports({"PIP_INDEX_URL": "https://u:p'a$s@pip.example"}, with_certificates=True) == (
        "export PIP_INDEX_URL='https://u:p'\"'\"'a$s@pip.example'\n"
        "export APT_CONFIG=/mnt/apt.conf\n"
        "export PIP_CERT=/mnt/certificates.pem\n"
        "export SSL_CERT_FILE=/mnt/certificates.pem\n"
    )


def test_the_first_certificate_file_that_exists_is_taken(tmp_path: Path):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    assert certificates({"SSL_CERT_FILE": str(tmp_path / "absent.pem"), "PIP_CERT": str(bundle)}) == bundle


def test_only_debians_own_sources_of_the_release_are_taken():
    targets = [
        "Debian|bookworm|http://mirror.example/debian/|main",
        "Debian|bookworm|http://mirror.example/debian/|main",
        "Debian|bookworm-security|http://mirror.example/debian-security/|main",
        "Debian|bookworm-backports|http://mirror.example/debian/|main",
        "Debian|trixie|http://mirror.example/debian/|main",
        "Somebody|bookworm|http://elsewhere.example/|main",
    ]
    assert sources_of("bookworm", targets) == [
        "deb http://mirror.example/debian-security/ bookworm-security main",
        "deb http://mirror.example/debian/ bookworm main",
    ]


def test_an_oci_archive_gets_dockers_table_of_contents(tmp_path: Path):
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
