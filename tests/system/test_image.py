"""The container image, built and run for real on a plain Debian base."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small import a_small_cloud
from tests.system.conftest import ROOT, tool

PACKAGES = "python3,python3-venv,ca-certificates"
PORT = 9464


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    storage = tmp_path_factory.mktemp("storage")
    return {
        **os.environ,
        "STORAGE_DRIVER": _driver(storage),
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(_storage_config(storage)),
    }


def _driver(folder: Path) -> str:
    """`vfs` works everywhere and copies the whole image for each step."""
    layers = [folder / one for one in ("lower", "upper", "work", "merged")]
    for one in layers:
        one.mkdir()
    lower, upper, work, merged = layers
    told = f"lowerdir={lower},upperdir={upper},workdir={work}"
    if subprocess.run(["mount", "-t", "overlay", "none", "-o", told, str(merged)], check=False).returncode:
        return "vfs"
    subprocess.run(["umount", str(merged)], check=True)
    return "overlay"


def _storage_config(folder: Path) -> Path:
    path = folder / "storage.conf"
    path.write_text(f'[storage]\ngraphroot = "{folder / "graph"}"\nrunroot = "{folder / "run"}"\n')
    return path


@pytest.fixture(scope="module")
def image(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.mktemp("base") / "root"
    made = ("--mode=root", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(base))
    run(environment, tool("mmdebstrap"), *made)
    container = run(environment, tool("buildah"), "from", "scratch").strip()
    run(environment, tool("buildah"), "add", "--quiet", container, str(base), "/")
    run(environment, tool("buildah"), "commit", "--quiet", container, "base:1")
    shutil.rmtree(base)
    mounts = [f"--volume={source}:{target}:ro" for source, target in _pip_needs(tmp_path_factory.mktemp("pip"))]
    run(
        environment,
        *(tool("buildah"), "bud", "--quiet", "--format=docker", "--pull-never", "--network=host", *mounts),
        *("--build-arg", "BASE=base:1", "--tag", "cmek-auditor:test", str(ROOT)),
    )
    yield "cmek-auditor:test"
    for one in run(environment, tool("buildah"), "containers", "-q").split():
        run(environment, tool("buildah"), "rm", one)


def _pip_needs(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """Let the build use this machine's certificates and pip settings, whatever they are."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings: dict[str, str] = {}
    for line in told.splitlines():
        name, _, value = line.partition("=")
        settings.setdefault(name.rpartition(".")[2], value.strip("'").replace("\\n", "\n"))
    config = scratch / "pip.conf"
    indented = {name: value.replace("\n", "\n  ") for name, value in settings.items()}
    config.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in indented.items()))
    yield config, Path("/etc/pip.conf")
    yield Path("/etc/ssl/certs"), Path("/etc/ssl/certs")
    for word in {word for value in settings.values() for word in value.split()}:
        local = Path(word.removeprefix("file://"))
        if local.is_absolute() and local.is_dir():
            # An index on disk keeps its files beside its pages.
            folder = local.parent if local.name == "simple" else local
            yield folder, folder
        elif local.is_absolute() and local.is_file():
            # Its folder, because a file may lie where the image has none.
            yield local.parent, local.parent


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_hadolint_finds_nothing_to_mend() -> None:
    done = subprocess.run([tool("hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_daemon_runs_as_nobody_special_on_a_read_only_root(
    image: str, environment: dict[str, str], tmp_path: Path
) -> None:
    container = run(environment, tool("buildah"), "from", "--pull-never", image).strip()
    root = Path(run(environment, tool("buildah"), "mount", container).strip())
    view = tmp_path / "view"
    view.mkdir()
    with a_small_cloud(tmp_path) as small:
        config = root / "config"
        config.mkdir()
        text = small.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{PORT}")
        (config / "auditor.toml").write_text(text.replace('"state"', '"/var/lib/cmek-auditor"'))
        # The same view that a container engine gives: the root read-only, the state folder and /tmp writable.
        script = (
            f"mount --bind {root} {view} && mount -o remount,ro,bind {view} "
            f"&& mount -t tmpfs -o uid=10001,gid=10001,mode=0700 none {view}/var/lib/cmek-auditor "
            f"&& mount -t proc none {view}/proc "
            f"&& exec chroot --userspec=10001:10001 {view} /usr/bin/env -i HOME=/var/lib/cmek-auditor "
            "PYTHONDONTWRITEBYTECODE=1 /opt/cmek-auditor/bin/cmek-auditor serve --config /config/auditor.toml"
        )
        command = [tool("unshare"), "--mount", "--propagation", "private", "sh", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert "serving on" in line, process.stderr.read() if process.stderr else ""
                assert _health(root) == 0
                # `exec` has put the daemon in place of the shell.
                status = Path(f"/proc/{process.pid}/status").read_text()
                assert status.partition("Uid:")[2].split()[0] == "10001"
            finally:
                process.terminate()
                process.wait(timeout=15)


def test_the_image_says_who_it_runs_as_and_how_healthy_it_is(image: str, environment: dict[str, str]) -> None:
    told = run(environment, tool("buildah"), "inspect", "--type", "image", image)
    for word in ("10001:10001", "/healthz", "/var/lib/cmek-auditor", "serve"):
        assert word in told


def _health(root: Path) -> int:
    """Run the image's own health check against the daemon."""
    line = next(one for one in (ROOT / "Dockerfile").read_text().splitlines() if one.startswith("HEALTHCHECK"))
    command = json.loads(line.partition(" CMD ")[2])
    deadline = time.monotonic() + 20
    while True:
        done = subprocess.run(["chroot", str(root), *command], capture_output=True, check=False)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.returncode
        time.sleep(0.5)
