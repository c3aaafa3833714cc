"""What a sandbox's container may do: as little as research code can live with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moot.sandbox.docker import Docker
from moot.sandbox.sizes import parse_size

if TYPE_CHECKING:
    import docker

USER = "10001:10001"
ENVIRONMENT = {
    "HOME": "/workspace",
    "USER": "sandbox",
    "LOGNAME": "sandbox",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp/mpl",  # noqa: S108 - in the container, where /tmp is its own
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def hardened(api: docker.APIClient, spec: Docker, *, volumes: tuple[str, ...]) -> Any:
    """The host's side of the container: everything dropped that research code can do without."""
    from docker.types import LogConfig, Ulimit

    size = {what: parse_size(getattr(spec, what), what=what) for what in ("memory", "workspace", "tmp", "shm")}
    # A volume declared by the image would be a writable place on the host's disk without any limit.
    shades = {path: "ro,noexec,nosuid,nodev,size=4k" for path in volumes if path not in ("/workspace", "/tmp")}  # noqa: S108
    return api.create_host_config(
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        read_only=True,
        network_mode=spec.network,
        ipc_mode="private",  # not "none": multiprocessing needs it
        pids_limit=spec.pids,
        mem_limit=size["memory"],
        memswap_limit=size["memory"],
        oom_score_adj=500,
        shm_size=size["shm"],
        nano_cpus=int(spec.cpus * 1_000_000_000),
        tmpfs={
            **shades,
            "/tmp": f"rw,noexec,nosuid,nodev,size={size['tmp']},nr_inodes=8192,mode=1777",  # noqa: S108
            # uid and gid are needed: `mode` alone loses to the mode of the image's directory
            "/workspace": f"rw,exec,nosuid,nodev,size={size['workspace']},nr_inodes=32768,"
            "uid=10001,gid=10001,mode=0750",
        },
        ulimits=[
            Ulimit(name="nofile", soft=1024, hard=1024),
            # PID 1 must be able to put in any file that fits; it sets 128 MiB for all code it starts
            Ulimit(name="fsize", soft=size["workspace"], hard=size["workspace"]),
            Ulimit(name="core", soft=0, hard=0),
        ],
        log_config=LogConfig(type="none"),
        dns=[],
        runtime=spec.runtime,
        auto_remove=True,
        init=False,  # our runner is PID 1, and must be
    )
