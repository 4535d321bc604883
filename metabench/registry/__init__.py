"""Finding plugins: discovery, isolation, conflicts, listing."""
