"""Somebody whose rights are those of a role of rbac/, less one: an account with a token and a kubeconfig of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from stack.release import Stack

NAME = "mutant"


@dataclass(frozen=True)
class Right:
    """One verb on one resource, as a rule of a file under rbac/ grants it."""

    role: str
    rule: int
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.role}: {self.verb} {self.resource}"


def rules_of(role: str) -> list[dict[str, Any]]:
    """The rules of a file under rbac/."""
    text = (REPOSITORY / "rbac" / f"{role}.yaml").read_text(encoding="utf-8")
    rules: list[dict[str, Any]] = yaml.safe_load(text)["rules"]
    return rules


def all_rights() -> Iterator[Right]:
    """Every verb on every resource of every file under rbac/."""
    for file in sorted((REPOSITORY / "rbac").glob("*.yaml")):
        for number, rule in enumerate(rules_of(file.stem)):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(file.stem, number, resource, verb)


def without(right: Right) -> list[dict[str, Any]]:
    """The rules of the right's role, less that right; other resources of its rule keep the verb."""
    rules = copy.deepcopy(rules_of(right.role))
    rule = rules.pop(right.rule)
    others = [name for name in rule["resources"] if name != right.resource]
    verbs = [verb for verb in rule["verbs"] if verb != right.verb]
    return [*rules, *parts(rule, others, rule["verbs"]), *parts(rule, [right.resource], verbs)]


def parts(rule: dict[str, Any], resources: list[str], verbs: list[str]) -> list[dict[str, Any]]:
    return [{**rule, "resources": resources, "verbs": verbs}] if resources and verbs else []


@dataclass(frozen=True)
class Mutant:
    """The account."""

    stack: Stack
    home: str
    kubeconfig: Path

    @classmethod
    def make(cls, stack: Stack, home: str, folder: Path) -> Mutant:
        """Make the account in a namespace, and its kubeconfig in a folder."""
        stack.kubectl("create", "serviceaccount", NAME, "-n", home)
        return cls(stack, home, stack.write_account_kubeconfig(NAME, home, folder))

    def grant(self, role: str, rules: list[dict[str, Any]], places: Iterable[str]) -> None:
        """Give exactly these rules in these namespaces, or in the whole cluster where a place is empty; wait for it.

        What was granted to another role of rbac/ before stays; what was granted to this one is replaced.
        """
        name = f"{NAME}-{role}"
        binding: dict[str, Any] = {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": self.home}],
        }
        objects: list[dict[str, Any]] = [{"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}]
        for place in places:
            kind = "RoleBinding" if place else "ClusterRoleBinding"
            where = {"namespace": place} if place else {}
            objects.append({"kind": kind, "metadata": {"name": name, **where}, **binding})
        items = [{"apiVersion": "rbac.authorization.k8s.io/v1", **each} for each in objects]
        self.stack.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def wait_until(self, right: Right, place: str, allowed: bool) -> None:
        """Wait until the API server's authorizer knows of a grant or of its end."""
        resource, _, part = right.resource.partition("/")
        (group,) = rules_of(right.role)[right.rule]["apiGroups"]
        names = rules_of(right.role)[right.rule].get("resourceNames", [""])
        attributes = {"namespace": place, "verb": right.verb, "group": group, "resource": resource}
        spec = {
            "user": f"system:serviceaccount:{self.home}:{NAME}",
            "resourceAttributes": {**attributes, "subresource": part, "name": names[0]},
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

        def probe() -> None:
            answer = json.loads(self.stack.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))
            if answer["status"].get("allowed", False) != allowed:
                raise NotYet(f"it still says {answer['status']}")

        wait_for(f"the API server to know that {right} is {'' if allowed else 'not '}allowed", probe, deadline_s=20)

    def forget(self) -> None:
        """Remove every grant."""
        for role in {right.role for right in all_rights()}:
            self.stack.kubectl("delete", "rolebindings", "-A", f"--field-selector=metadata.name={NAME}-{role}")
            names = ("clusterrole,clusterrolebinding", f"{NAME}-{role}")
            self.stack.kubectl("delete", *names, "--ignore-not-found")
