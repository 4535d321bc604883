"""Makes `alg_cases` importable from the folders of the families."""
