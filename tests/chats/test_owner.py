"""Who drives a run, and whether that process still lives."""

from moot.chats.owner import is_dead, new_owner


def test_this_process_lives() -> None:
    assert not is_dead(new_owner())


def test_two_drivers_of_one_process_have_two_names() -> None:
    assert new_owner() != new_owner()


def test_another_process_is_dead_when_it_has_ended(living_owner: str, dead_owner: str) -> None:
    assert not is_dead(living_owner)
    assert is_dead(dead_owner)


def test_a_number_that_was_given_to_another_process_since_is_a_dead_owner() -> None:
    *machine, pid, start, nonce = new_owner().split(":")
    assert is_dead(":".join([*machine, pid, str(int(start) - 1), nonce]))


def test_of_another_machine_or_another_boot_nothing_can_be_told(dead_owner: str) -> None:
    _boot, *rest = dead_owner.split(":")
    assert not is_dead(":".join(["another-boot", *rest]))


def test_a_name_that_is_none_is_not_called_dead() -> None:
    for name in ("", "me", "a:b:c", "a:b:c:d:e", ":::", "a:b:1:2"):
        assert not is_dead(name)
