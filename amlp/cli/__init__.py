"""The terminal's way into the library: arguments to configs, events to bars."""

from amlp.cli.app import app, main

__all__ = ["app", "main"]
