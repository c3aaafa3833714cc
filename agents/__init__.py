"""WHO speaks: assistants, the executor, models, and the one file that adopts AutoGen agents."""
