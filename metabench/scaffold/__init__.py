"""Writing a new plugin: a small distribution that is complete before its author changes a line."""

from metabench.scaffold.names import checked_name
from metabench.scaffold.write import Written, write_plugin

__all__ = ["Written", "checked_name", "write_plugin"]
