from fake_plugins import new_site, site

__all__ = ["new_site", "site"]
