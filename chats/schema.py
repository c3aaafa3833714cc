"""The JSON Schema of chat files, for editors."""

from __future__ import annotations

from pydantic.json_schema import JsonSchemaValue

from moot.chats.chat_file import ChatFile


def json_schema() -> JsonSchemaValue:
    """The schema of a chat file, with a description of every key."""
    schema = ChatFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Moot chat file"}
