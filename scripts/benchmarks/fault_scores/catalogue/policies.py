"""Webhooks and policies that act only on the namespace of their fault."""

from __future__ import annotations

from benchmarks.fault_scores.fault import Json

_PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
_SELECTOR: Json = {"matchLabels": {"kubernetes.io/metadata.name": "{namespace}"}}
_API = "admissionregistration.k8s.io/v1"


def build_webhook(name: str, client: Json, *, with_authority: bool = False) -> Json:
    """Build the configuration of a webhook; ``{authority}`` is replaced by that of the certificate."""
    webhook = {
        "name": name,
        "clientConfig": client | ({"caBundle": "{authority}"} if with_authority else {}),
        "rules": [_PODS],
        "namespaceSelector": _SELECTOR,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": _API,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }


def build_policy(name: str, expression: str, message: str) -> tuple[Json, Json]:
    """Build a ValidatingAdmissionPolicy and its binding."""
    policy = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_PODS]},
            "validations": [{"expression": expression, "message": message}],
        },
    }
    binding = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": _SELECTOR},
        },
    }
    return policy, binding
