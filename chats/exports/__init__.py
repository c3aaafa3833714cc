"""A run for others to read, from its journal alone: as one page of HTML, Markdown, a diagram, or its events as JSON."""
