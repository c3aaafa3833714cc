"""Gets a machine ready for Moot: the environment, the Docker engine, the sandbox image. Standard library only."""
