"""WHEN a chat ends: outcomes, the transcript, stop rules, limits and the ledger."""
