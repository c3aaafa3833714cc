"""What `from moot import ...` promises."""

import inspect

import moot

NAMES = """
Approval Artifact Aside Assistant Chat ChatError Choice Comparison Decide Docker Edits End Execution Executor Fenced
Human Ledger Limits MemoryStore ModelError ModelFault ModelRefused ModelSpec Outcome Pause PlaybookError Price Replay
Request ResultSpec Rule Run SandboxError Say Selector SpeakerPolicy SpecError SqliteStore Stop StoreError TapeError
ToolError ToolPolicy Transcript Turn TypedReply UnusableReply Usage UserError __version__ approved_by ask_approval
ask_person assistant code_succeeded compare executor fork graph human idempotency_key load_chat open_run post record
rejections replay replayed requests round_robin says selector spoke watch when
""".split()


def test_the_public_names_are_these_and_no_others() -> None:
    assert moot.__all__ == sorted(NAMES)
    assert dir(moot) == sorted(NAMES)


def test_every_public_name_can_be_fetched_and_says_what_it_is_for() -> None:
    for name in NAMES:
        value = getattr(moot, name)
        if name != "__version__":
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_every_public_method_says_what_it_is_for() -> None:
    silent = [
        f"{name}.{attribute}"
        for name in NAMES
        if inspect.isclass(cls := getattr(moot, name))
        for attribute, member in vars(cls).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and not inspect.getdoc(member)
    ]
    assert silent == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(moot, "GroupChat")
