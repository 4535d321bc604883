import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "registry"))

from fake_plugins import new_site, site

__all__ = ["new_site", "site"]
