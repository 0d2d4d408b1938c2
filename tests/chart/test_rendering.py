"""Validation of rendered objects."""

from __future__ import annotations

import jsonschema
import pytest

from chart.rendering import Object, validate

SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "api"},
    "spec": {"ports": [{"port": 80}]},
}
ROUTE: Object = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {}, "spec": {}}


@pytest.mark.parametrize("valid", [SERVICE, ROUTE], ids=["kubernetes", "custom resource"])
def test_unknown_field_is_refused(valid: Object) -> None:
    validate(valid)
    with pytest.raises(jsonschema.ValidationError, match="'nonsense' was unexpected"):
        validate({**valid, "spec": {**valid["spec"], "nonsense": 1}})


def test_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError, match="'eighty' is not of type"):
        validate({**SERVICE, "spec": {"ports": [{"port": "eighty"}]}})
