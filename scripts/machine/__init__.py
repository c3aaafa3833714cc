"""Gets a machine ready for Moot: the environment, the Docker engine, the sandbox image; for tests, also servers.

Standard library only.
"""
