"""Uses each extra of the installed package once: imports what it brings, and runs a command that needs it.

    cd EMPTY_FOLDER && VENV/bin/python CHECKOUT/.ci/extras.py [EXTRA ...]

Called by ``.ci/package`` where all extras are installed; the package itself is the installed one, the checkout only
lends the servers of its tests and its documentation.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

SMALL = "--steps 300 --evaluations 2 --eval-episodes 1 --quiet"


def run(*words: str, **changes: str) -> str:
    """Run a command here with the installed Python and return what it printed; whatever else than 0 ends it all."""
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **changes},
        timeout=900,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def tune(words: str, **changes: str) -> str:
    """Run our command; ``tune`` itself may be Ray's."""
    return run("-m", "tuner", *words.split(), **changes)


def train(env: str) -> None:
    """Train in an environment that the extra brings."""
    tune(f"train --env {env} {SMALL} -o {env.split()[0].replace('/', '-')}")


def cart_pole() -> None:
    """Train an agent, once."""
    if not Path("cart_pole").exists():
        tune(f"train --env CartPole-v1 {SMALL} -o cart_pole")


def study(name: str, more: str = "") -> None:
    """Run a study of two trials."""
    tune(f"--env CartPole-v1 --trials 2 {SMALL} --confirm 0 --study {name} {more}")


def video() -> None:
    """Film a game."""
    cart_pole()
    tune("record cart_pole --episodes 1")
    assert glob.glob("cart_pole/**/*.mp4", recursive=True)


def paper() -> None:
    """Print a study."""
    study("printed", "--confirm 1 --confirm-seeds 3 --confirm-budget 9")
    tune("paper printed -o paper")
    assert glob.glob("paper/**/*.pdf", recursive=True)


def fqi() -> None:
    """Fit Q-functions."""
    tune("train --env CartPole-v1 --algo fqi --steps 2 --set n_transitions=200 --eval-episodes 1 --quiet -o fitted")


def ray() -> None:
    """Run a study on a Ray of this machine."""
    study("on-ray", "--executor ray --ray-address local --workers 1")


def postgres() -> None:
    """Run a study in a server of this machine; where there is none, be refused by the network and by nothing else."""
    from postgres_server import PostgresServer, server_binaries

    if server_binaries() is None:
        from tuner.study.store.connect import open_storage

        with contextlib.suppress(Exception):
            open_storage("postgresql+psycopg://nobody@127.0.0.1:9/none", create=True)
            sys.exit("a PostgreSQL server answers at port 9")
        print("postgres: imported only, there is no PostgreSQL server here")
        return
    server = PostgresServer()
    try:
        url = server.new_database("extras")
        study("in-postgres", f"--workers 1 --storage {url}")
        assert "in-postgres" in tune(f"list --storage {url}")
    finally:
        server.remove()


def tensorboard() -> None:
    """Write event files that TensorBoard reads."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tune(f"train --env CartPole-v1 {SMALL} -o watched --tensorboard events")
    (file,) = glob.glob("events/**/events.out.tfevents.*", recursive=True)
    assert EventAccumulator(file).Reload().Tags()["scalars"]


def hub() -> None:
    """Send an agent to a hub of this machine, its large files the way that the installed client sends them."""
    from hub_server import running

    cart_pole()
    with running() as server:
        away = {"HF_ENDPOINT": server.url, "HF_TOKEN": "none", "HF_HOME": str(Path("hf").absolute())}
        away["HF_XET_XORB_COMPRESSION_POLICY"] = "none"
        tune("publish cart_pole --episodes 1 --push me/pole", **away)
        assert ("dqn-CartPole-v1.zip", "lfsFile") in server.commits[0], server.commits


def contrib() -> None:
    """Train an algorithm of sb3-contrib's."""
    tune(f"train --env CartPole-v1 --algo qrdqn --backend sb3 {SMALL} -o quantiles")


def docs() -> None:
    """Build the site."""
    out = Path("site").absolute()
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "-d", out], cwd=ROOT, check=True)
    assert (out / "index.html").is_file()


def test() -> None:
    """Run some tests of the checkout against the installed package."""
    import tuner

    assert ROOT not in Path(tuner.__file__).parents
    files = [
        str(ROOT / "tests" / name) for name in ("core/test_statistics.py", "test_durable.py", "test_plain_yaml.py")
    ]
    print(run("-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *files), end="")


def bench() -> None:
    """Compare our statistics with rliable's."""
    run(str(ROOT / "benchmarks" / "against_rliable.py"), "--resamples", "200")


#: Extra -> modules that it brings, and what needs it.
USES: dict[str, tuple[tuple[str, ...], Callable[[], None]]] = {
    "box2d": (("Box2D",), lambda: train("LunarLander-v3")),
    "minatar": (("minatar",), lambda: train("MinAtar/Breakout-v1")),
    "flappy": (("flappy_bird_gymnasium",), lambda: train("FlappyBird-v0")),
    "minigrid": (("minigrid",), lambda: train("MiniGrid-Empty-5x5-v0 --wrapper minigrid.wrappers.ImgObsWrapper")),
    "highway": (("highway_env",), lambda: train("highway-fast-v0")),
    "paper": (("matplotlib",), paper),
    "video": (("imageio_ffmpeg", "PIL", "pygame"), video),
    "ray": (("ray",), ray),
    "fqi": (("sklearn",), fqi),
    "postgres": (("psycopg",), postgres),
    "tensorboard": (("tensorboard",), tensorboard),
    "hub": (("huggingface_hub",), hub),
    "contrib": (("sb3_contrib",), contrib),
    "docs": (("mkdocs", "material", "mkdocstrings"), docs),
    "test": (("pytest", "hypothesis", "xdist", "mypy", "hatchling"), test),
    "all": ((), lambda: None),  # the others together
    "bench": (("rliable",), bench),
}


def main() -> None:
    """Use all extras, or those named."""
    known = set(metadata.metadata("tune-dqn").get_all("Provides-Extra") or ())
    assert known == set(USES), f"extras without a use here, or gone: {sorted(known ^ set(USES))}"
    for extra in sys.argv[1:] or USES:
        modules, use = USES[extra]
        for module in modules:
            importlib.import_module(module)
        use()
        print(f"{extra}: used", flush=True)


if __name__ == "__main__":
    main()
