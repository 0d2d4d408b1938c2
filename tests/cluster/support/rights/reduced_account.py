"""A service account with the rights of a role in rbac/ minus one, and its kubeconfig."""

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

NAME = "reduced-account"


@dataclass(frozen=True)
class Right:
    """One verb on one resource, from a rule of a file in rbac/."""

    role: str
    rule: int
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.role}: {self.verb} {self.resource}"


def read_role(role: str) -> list[dict[str, Any]]:
    """Return the rules of a file in rbac/."""
    text = (REPOSITORY / "rbac" / f"{role}.yaml").read_text(encoding="utf-8")
    rules: list[dict[str, Any]] = yaml.safe_load(text)["rules"]
    return rules


def list_rights() -> Iterator[Right]:
    """Yield every verb on every resource of every file in rbac/."""
    for file in sorted((REPOSITORY / "rbac").glob("*.yaml")):
        for number, rule in enumerate(read_role(file.stem)):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(file.stem, number, resource, verb)


def rules_without(right: Right) -> list[dict[str, Any]]:
    """Return the rules of a right's role without the right.

    Other resources of the rule keep the verb.
    """
    rules = copy.deepcopy(read_role(right.role))
    rule = rules.pop(right.rule)
    others = [name for name in rule["resources"] if name != right.resource]
    verbs = [verb for verb in rule["verbs"] if verb != right.verb]
    return [*rules, *restrict_rule(rule, others, rule["verbs"]), *restrict_rule(rule, [right.resource], verbs)]


def restrict_rule(rule: dict[str, Any], resources: list[str], verbs: list[str]) -> list[dict[str, Any]]:
    return [{**rule, "resources": resources, "verbs": verbs}] if resources and verbs else []


@dataclass(frozen=True)
class ReducedAccount:
    """The service account."""

    stack: Stack
    namespace: str
    kubeconfig: Path

    @classmethod
    def create(cls, stack: Stack, namespace: str, folder: Path) -> ReducedAccount:
        """Create the account in a namespace, and its kubeconfig in a folder."""
        stack.kubectl("create", "serviceaccount", NAME, "-n", namespace)
        return cls(stack, namespace, stack.write_account_kubeconfig(NAME, namespace, folder))

    def grant(self, role: str, rules: list[dict[str, Any]], namespaces: Iterable[str]) -> None:
        """Grant exactly these rules in namespaces; an empty name means the whole cluster.

        Grants of this role are replaced; grants of other roles in rbac/ are kept.
        """
        name = f"{NAME}-{role}"
        binding: dict[str, Any] = {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": self.namespace}],
        }
        objects: list[dict[str, Any]] = [{"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}]
        for namespace in namespaces:
            kind = "RoleBinding" if namespace else "ClusterRoleBinding"
            scope = {"namespace": namespace} if namespace else {}
            objects.append({"kind": kind, "metadata": {"name": name, **scope}, **binding})
        items = [{"apiVersion": "rbac.authorization.k8s.io/v1", **item} for item in objects]
        self.stack.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def wait_until_decided(self, right: Right, namespace: str, allowed: bool) -> None:
        """Wait until the API server's authorizer has noticed a grant or its removal."""
        resource, _, subresource = right.resource.partition("/")
        (group,) = read_role(right.role)[right.rule]["apiGroups"]
        names = read_role(right.role)[right.rule].get("resourceNames", [""])
        attributes = {"namespace": namespace, "verb": right.verb, "group": group, "resource": resource}
        spec = {
            "user": f"system:serviceaccount:{self.namespace}:{NAME}",
            "resourceAttributes": {**attributes, "subresource": subresource, "name": names[0]},
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

        def probe() -> None:
            response = json.loads(self.stack.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))
            if response["status"].get("allowed", False) != allowed:
                raise NotYet(f"the review returns {response['status']}")

        wait_for(f"the API server to notice that {right} is {'' if allowed else 'not '}allowed", probe, deadline_s=20)

    def revoke_grants(self) -> None:
        """Delete all grants."""
        for role in {right.role for right in list_rights()}:
            self.stack.kubectl("delete", "rolebindings", "-A", f"--field-selector=metadata.name={NAME}-{role}")
            names = ("clusterrole,clusterrolebinding", f"{NAME}-{role}")
            self.stack.kubectl("delete", *names, "--ignore-not-found")
