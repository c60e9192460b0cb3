"""The `relay` command. `main` is its entry point."""

from .app import main

__all__ = ["main"]
