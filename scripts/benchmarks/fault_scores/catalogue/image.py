"""Images that cannot be pulled, because of their name, the pull policy, the registry or its login."""

from __future__ import annotations

import base64
import json
from functools import partial

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PLATFORM_TEAM, Build, Expected, Fault, Json
from benchmarks.fault_scores.hosts import (
    ANSWERS,
    DEAD_PORT,
    EXPIRED,
    PLAIN_HTTP,
    REGISTRY,
    SELF_SIGNED,
    SILENT,
)
from benchmarks.fault_scores.images import ARM_IMAGE, LATE_IMAGE, LOGIN_SECRET
from local_cluster.addresses import NODE_IP

_LOGIN: Json = {"imagePullSecrets": [{"name": LOGIN_SECRET}]}


def build_login(name: str, host: str, user: str, password: str) -> Json:
    """Build a pull secret."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = {"auths": {host: {"username": user, "password": password, "auth": auth}}}
    data = {".dockerconfigjson": json.dumps(config)}
    kind = "kubernetes.io/dockerconfigjson"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": data}


def invalid_name(draw: Draw) -> Fault:
    """Upper-case letters in the repository."""
    image = f"registry.example.com/{draw.name().title()}:{draw.randint(1, 9)}"
    expected = Expected(("KPO-IMG101",), (r"invalid|not (a )?valid", image), advice="lower case|image")
    return Fault("image-name", expected, container={"image": image})


def never_pulled(draw: Draw) -> Fault:
    """The pull policy Never, and an image that is only in the registry."""
    image = f"{REGISTRY}/{LATE_IMAGE}:{draw.randint(1, 9)}"
    expected = Expected(("KPO-IMG102",), (r"Never", image), is_healable=True)
    return Fault("image-never", expected, _LOGIN, {"image": image, "imagePullPolicy": "Never"})


def missing_tag(draw: Draw) -> Fault:
    """A tag that the registry does not have."""
    image = f"{REGISTRY}/{LATE_IMAGE}:{draw.name()}"
    return Fault("image-tag", _missing(image), _LOGIN, {"image": image})


def missing_repository(draw: Draw) -> Fault:
    """A repository that the registry does not have."""
    image = draw.image(REGISTRY)
    return Fault("image-repository", _missing(image), _LOGIN, {"image": image})


def missing_digest(draw: Draw) -> Fault:
    """A digest that the registry does not have."""
    image = f"{REGISTRY}/{LATE_IMAGE}@sha256:{draw.getrandbits(256):064x}"
    return Fault("image-digest", _missing(image), _LOGIN, {"image": image})


def other_platform(draw: Draw) -> Fault:
    """An image for another processor."""
    image = f"{REGISTRY}/{ARM_IMAGE}:{draw.randint(1, 9)}"
    expected = Expected(("KPO-IMG114",), (r"platform|processor|architecture",), advice="platform|node_selector")
    return Fault("image-platform", expected, _LOGIN, {"image": image})


def no_login(draw: Draw) -> Fault:
    """A private image without a pull secret."""
    image = draw.image(REGISTRY)
    words = (r"login|credentials|unauthorized|401", "localhost:5000")
    expected = Expected(("KPO-IMG104",), words, advice="registry.host|pull secret", who=PLATFORM_TEAM)
    return Fault("registry-no-login", expected, container={"image": image})


def wrong_login(draw: Draw) -> Fault:
    """A pull secret with an old password."""
    image, secret = draw.image(REGISTRY), draw.name()
    words = (r"login|credentials|unauthorized|401", "localhost:5000")
    expected = Expected(("KPO-IMG106",), words, f"Secret {secret}", "login|name of the image", PLATFORM_TEAM)
    login = build_login(secret, REGISTRY, "partner", draw.key())
    spec = {"imagePullSecrets": [{"name": secret}]}
    return Fault("registry-wrong-login", expected, spec, {"image": image}, objects=(login,))


def missing_pull_secret(draw: Draw) -> Fault:
    """A pull secret that does not exist."""
    image, secret = draw.image(REGISTRY), draw.name()
    expected = Expected(
        ("KPO-IMG105",),
        (secret, r"not exist|not found|missing"),
        f"Secret {secret}",
        "image_pull_secrets",
        PLATFORM_TEAM,
    )
    return Fault("registry-missing-secret", expected, {"imagePullSecrets": [{"name": secret}]}, {"image": image})


def forbidden(draw: Draw) -> Fault:
    """A login that may not pull the image (403)."""
    image = draw.image(ANSWERS, f"403/{draw.name()}")
    expected = Expected(
        ("KPO-IMG107",), (r"403|forbidden|does not let|right", ANSWERS), advice="right|access", who=PLATFORM_TEAM
    )
    return Fault("registry-403", expected, _LOGIN, {"image": image})


def rejected(draw: Draw) -> Fault:
    """A registry that rejects every login (401)."""
    image, secret = draw.image(ANSWERS, f"401/{draw.name()}"), draw.name()
    words = (r"login|credentials|unauthorized|401", ANSWERS)
    expected = Expected(("KPO-IMG106",), words, f"Secret {secret}", "login|name of the image", PLATFORM_TEAM)
    login = build_login(secret, ANSWERS, "robot", draw.key())
    spec = {"imagePullSecrets": [{"name": secret}]}
    return Fault("registry-401", expected, spec, {"image": image}, objects=(login,))


def unknown_image(draw: Draw) -> Fault:
    """A registry that answers 404."""
    image = draw.image(ANSWERS, f"404/{draw.name()}")
    return Fault("registry-404", _missing(image), container={"image": image})


def limited(draw: Draw) -> Fault:
    """A registry that limits the rate (429)."""
    image = draw.image(ANSWERS, f"429/{draw.name()}")
    expected = Expected(
        ("KPO-IMG108",), (r"429|rate|too many requests", ANSWERS), advice="mirror|login|again", who=PLATFORM_TEAM
    )
    return Fault("registry-429", expected, container={"image": image})


def broken(draw: Draw, status: int) -> Fault:
    """A registry that answers with an error of its own."""
    image = draw.image(ANSWERS, f"{status}/{draw.name()}")
    words = (rf"{status}|answers with an error|unavailable|bad gateway|internal server error", ANSWERS)
    expected = Expected(("KPO-IMG109",), words, advice="registry", who=PLATFORM_TEAM)
    return Fault(f"registry-{status}", expected, container={"image": image})


def _silent(name: str, image: str, host: str) -> Fault:
    words = (r"no answer|time[d ]?-?out|timeout|refused|reset|EOF|unreachable", host)
    expected = Expected(("KPO-IMG110",), words, advice="registry", who=PLATFORM_TEAM)
    return Fault(name, expected, container={"image": image}, settle_s=45)


def hanging(draw: Draw) -> Fault:
    """A registry that accepts connections and does not answer."""
    return _silent("registry-hang", draw.image(SILENT), SILENT)


def refused(draw: Draw) -> Fault:
    """A registry that does not run."""
    host = f"{NODE_IP}:{DEAD_PORT}"
    return _silent("registry-refused", draw.image(host), host)


def dropped(draw: Draw) -> Fault:
    """A registry that closes the connection without an answer."""
    return _silent("registry-drop", draw.image(ANSWERS, f"drop/{draw.name()}"), ANSWERS)


def unknown_host(draw: Draw) -> Fault:
    """The name of a registry that does not exist; this node has no DNS for such names, so it cannot ask either."""
    host = f"{draw.name()}.example.com"
    words = (r"resolve|no such host|lookup|DNS", host)
    expected = Expected(("KPO-IMG111",), words, advice="DNS|name of the image", who=PLATFORM_TEAM)
    return Fault("registry-host", expected, container={"image": draw.image(host)})


def untrusted(draw: Draw, name: str, host: str) -> Fault:
    """A registry with a certificate that the node does not trust."""
    words = (r"certificate|x509", host)
    expected = Expected(("KPO-IMG112",), words, advice="certificate", who=PLATFORM_TEAM)
    return Fault(name, expected, container={"image": draw.image(host)})


def plain_http(draw: Draw) -> Fault:
    """A registry that speaks HTTP where the node expects HTTPS."""
    words = (r"HTTP", PLAIN_HTTP)
    expected = Expected(("KPO-IMG113",), words, advice="HTTPS", who=PLATFORM_TEAM)
    return Fault("registry-http", expected, container={"image": draw.image(PLAIN_HTTP)})


def _missing(image: str) -> Expected:
    return Expected(("KPO-IMG103",), (r"not exist|not found|404|manifest unknown", image), advice="name|tag")


FAULTS: tuple[Build, ...] = (
    *(invalid_name, never_pulled, missing_tag, missing_repository, missing_digest, other_platform),
    *(no_login, wrong_login, missing_pull_secret, forbidden, rejected, unknown_image, limited),
    *(partial(broken, status=status) for status in (500, 502, 503, 504)),
    *(hanging, refused, dropped, unknown_host, plain_http),
    partial(untrusted, name="registry-self-signed", host=SELF_SIGNED),
    partial(untrusted, name="registry-expired", host=EXPIRED),
)
"""The kinds of this family."""
