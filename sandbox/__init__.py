"""WHERE code runs: a hardened Docker sandbox with a live interpreter."""
