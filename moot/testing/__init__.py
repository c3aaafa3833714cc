"""What your own tests need: fakes, a way to kill your chat everywhere, and models that are recorded once.

    from autogen_agentchat.agents import AssistantAgent
    from moot import Chat, Limits
    from moot.testing import FakeModel, crash_everywhere, performed, tool_call

    async def pay(amount: int) -> str:
        "Pay somebody."
        performed("pay")
        return f"paid {amount}"

    def make_chat() -> Chat:
        clerk = FakeModel([[tool_call("pay", {"amount": 3})], "It is paid."])
        agents = [AssistantAgent("clerk", clerk, tools=[pay], reflect_on_tool_use=True),
                  AssistantAgent("auditor", FakeModel(["Fine."]))]
        return Chat(agents, limits=Limits(turns=2))

    async def test_the_chat_survives_a_crash_anywhere() -> None:
        (await crash_everywhere(make_chat, "Pay the bill.")).check()

Works inside pytest and anywhere else; pytest is not needed.
"""

from moot.agents.questions import Decision
from moot.chats.memory_store import MemoryStore
from moot.sandbox.fake import Fake as FakeSandbox
from moot.testing.crash import crash_everywhere
from moot.testing.model import FakeModel, tool_call
from moot.testing.performed import performed
from moot.testing.report import Point, Report
from moot.testing.store import DyingStore, Killed
from moot.testing.taped import taped

__all__ = [
    "Decision",
    "DyingStore",
    "FakeModel",
    "FakeSandbox",
    "Killed",
    "MemoryStore",
    "Point",
    "Report",
    "crash_everywhere",
    "performed",
    "taped",
    "tool_call",
]
