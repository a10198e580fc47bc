"""The command line ``starlab``: one module per group of commands. Knows nothing of the server."""

from starlab.cli.app import main

__all__ = ["main"]
