"""What every part of the contract has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """A part of the contract: frozen, read from camelCase keys."""

    # Unknown keys pass: a newer chart may add a field within one contract version.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")
