"""Names and values drawn at random."""

from __future__ import annotations

from random import Random

_NOUNS = (
    *("orders", "invoices", "ledger", "forecast", "clicks", "sessions", "payroll", "catalog", "stock", "claims-data"),
    *("features", "embeddings", "telemetry", "returns", "quotes", "tickets", "audit", "grid", "weather", "billing"),
)
_ADJECTIVES = ("daily", "raw", "clean", "old", "new", "eu", "us", "weekly", "merged", "public", "internal", "big")


class Draw(Random):
    """Draws names that Kubernetes accepts, and values."""

    def name(self) -> str:
        """Draw a name, such as ``raw-orders-3f9c``; no two are equal."""
        return f"{self.choice(_ADJECTIVES)}-{self.choice(_NOUNS)}-{self.getrandbits(24):06x}"

    def key(self) -> str:
        """Draw a key or the name of a variable, such as ``ORDERS_3F9C``."""
        return f"{self.choice(_NOUNS)}_{self.getrandbits(16):04x}".upper().replace("-", "_")

    def image(self, registry: str, repository: str = "") -> str:
        """Draw the name of an image of a registry."""
        path = repository or self.name()
        return f"{registry}/{path}:{self.randint(1, 9)}.{self.randint(0, 30)}"

    def path(self) -> str:
        """Draw an absolute path."""
        return f"/{self.choice(_NOUNS)}/{self.name()}"
