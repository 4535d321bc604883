from run_cases import finished, shell, toy_site

__all__ = ["finished", "shell", "toy_site"]
