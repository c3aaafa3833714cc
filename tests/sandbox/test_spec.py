"""`Docker(...)` is a value: what it accepts, and that it costs nothing."""

import subprocess
import sys

import pytest

import moot.sandbox
from moot.sandbox.docker import Docker
from moot.sandbox.sizes import parse_size, show_size


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"memory": "lots"}, "memory='lots' is not a size; write a whole number and a unit, such as 512m or 1g"),
        ({"workspace": "1.5g"}, "workspace='1.5g' is not a size"),
        ({"tmp": "0"}, "tmp='0' must be more than nothing"),
        ({"max_artifact": ""}, "max_artifact='' is not a size"),
        ({"network": "bridge"}, "network='bridge' is not supported; allowed: none"),
        ({"timeout_seconds": 0}, "timeout_seconds=0 must be more than 0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds=nan must be more than 0"),
        ({"cpus": -1}, "cpus=-1 must be more than 0"),
        ({"pids": 2}, "pids=2 is too few"),
        ({"artifacts": "*.png"}, r"artifacts='\*\.png' must be a tuple of patterns"),
        ({"image": " "}, "image is empty; name one, such as moot/python:1"),
        ({"memory": "256m"}, "memory='256m' is too little: .* need, with room for the interpreter, 448.0 MiB; raise"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Docker(**wrong)  # type: ignore[arg-type]


def test_it_is_a_value() -> None:
    assert Docker() == Docker(memory="512m")
    assert len({Docker(), Docker(), Docker(cpus=2)}) == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("64k", 65536), ("256M", 1 << 28), ("1g", 1 << 30), ("2 GiB", 2 << 30), ("5MB", 5 << 20)],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text, what="memory") == size


def test_sizes_are_shown_for_people() -> None:
    assert [show_size(size) for size in (0, 1023, 1024, 1536, (1 << 20) - 1, 300 << 20, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "1024.0 KiB",
        "300.0 MiB",
        "5.0 TiB",
    ]


def test_making_a_specification_imports_neither_docker_nor_pydantic() -> None:
    program = (
        "import sys\nfrom moot.sandbox import Docker, Execution, SandboxError\nDocker()\n"
        "print([name for name in ('docker', 'pydantic', 'asyncio.subprocess', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_exported_name_is_there() -> None:
    for name in moot.sandbox.__all__:
        assert getattr(moot.sandbox, name).__name__ == name if name[1].islower() and name != "OnOutput" else True
    with pytest.raises(AttributeError):
        moot.sandbox.Nothing  # noqa: B018
