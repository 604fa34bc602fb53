"""The public Python API."""

from importlib.metadata import version

__version__ = version("perennial")
