"""First-party few-shot learners, one folder per family; `plugin` describes them."""
