"""The conversation: loop, speakers, journal, store, runs and chat files."""
