"""A turn without a run."""

import pytest

from tests.fakes import FakeConversation


@pytest.fixture
def conversation() -> FakeConversation:
    """The run's side of a turn; `in_turn` enters it."""
    return FakeConversation()
