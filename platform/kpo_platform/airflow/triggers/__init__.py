"""Triggers: how deferred tasks wait for their pods, many in one event loop."""
