"""Moot: durable, bounded, explainable group chats of AI agents."""

__version__ = "0.1.0"
