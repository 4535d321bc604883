"""Audio for metabench: task sources and encoders; `plugin` describes them."""
