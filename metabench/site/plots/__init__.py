"""The figures of the site and of ``metabench report``, each drawn once with matplotlib."""
