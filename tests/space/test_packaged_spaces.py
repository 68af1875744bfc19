import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from rl_zoo3.hyperparams_opt import sample_dqn_params

from tuner.errors import InputError, SpaceError
from tuner.hyperparameters import algorithm_class, beyond_sb3, field_infos
from tuner.space.catalog import find_space, list_spaces, load_by_name, packaged_folder
from tuner.space.parse import parse_space

LISTED = (
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "LunarLander-v3",
    "FrozenLake-v1",
    "Taxi-v4",
    "CliffWalking-v1",
    "Blackjack-v1",
    "FlappyBird-v0",
)
SPACES = {path.stem: load_by_name(str(path)) for path in sorted((packaged_folder() / "dqn").glob("*.yaml"))}

#: RL Zoo's tuned values (hyperparams/dqn.yml) of the fields that the default space searches.
ZOO_TUNED = {
    "CartPole-v1": (2.3e-3, 100_000, 10, 0.16, 0.04),
    "MountainCar-v0": (4e-3, 10_000, 600, 0.2, 0.07),
    "LunarLander-v3": (6.3e-4, 50_000, 250, 0.12, 0.1),
    "Acrobot-v1": (6.3e-4, 50_000, 250, 0.12, 0.1),
}


class RandomSuggest:
    """Uniform answers; records the questions."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.asked: list[tuple] = []

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        self.asked.append((name, low, high, log))
        return self._random.uniform(low, high)

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        assert step == 1
        self.asked.append((name, low, high, log))
        return self._random.randint(low, high)

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        self.asked.append((name, len(options)))
        return self._random.choice(options)


class ZooTrial:
    """Stands in for an Optuna trial: answers with prepared values, records the questions."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.asked: list[tuple] = []

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append((name, low, high, log))
        return self.values[name]

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked.append((name, low, high, log))
        return self.values[name]

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        self.asked.append((name, len(choices)))
        return {"64x64": "small", "256x256": "medium", "400x300": "big"}[self.values[name]]

    def set_user_attr(self, name: str, value: Any) -> None:
        pass


NAMES = {"default", "classic", "extended", "rainbow", "zoo", "atari", "minatar", "pixels"}


def test_the_packaged_spaces_are_there() -> None:
    assert set(SPACES) == NAMES


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("env_id", [*LISTED, "Unheard-v0"])
def test_every_space_works_for_every_environment(name: str, env_id: str) -> None:
    space, _ = SPACES[name].for_environment(env_id)
    space = space.clip_to_budget()
    assert parse_space(space.to_mapping()) == space
    for seed in range(20):
        settings = space.resolve(space.sample(RandomSuggest(seed)))
        assert settings.learning_starts < space.budget.n_timesteps
        if space.budget.clip:
            assert settings.buffer_size <= space.budget.n_timesteps
            assert settings.target_update_interval * 5 <= space.budget.n_timesteps


@pytest.mark.parametrize("name", sorted(NAMES - {"zoo"}))  # which repeats RL Zoo
def test_packaged_spaces_know_no_environment_but_by_its_budget(name: str) -> None:
    assert all(not override.fixed and not override.search for override in SPACES[name].environments.values())


def test_the_default_space_searches_the_five_knobs_and_what_decides_besides() -> None:
    searched = {d.field for d in SPACES["default"].dimensions}
    assert searched > {d.field for d in SPACES["classic"].dimensions}
    assert searched >= {"n_steps", "gamma", "batch_size", "net_arch", "train_freq", "updates_per_step"}
    assert searched >= {"normalize_observations", "normalize_rewards"}


@pytest.mark.parametrize("name", ["default", "classic", "extended", "rainbow"])
def test_listed_environments_have_their_own_budget(name: str) -> None:
    assert set(SPACES[name].environments) == set(LISTED)
    assert all("n_timesteps" in override.budget for override in SPACES[name].environments.values())


def test_classic_searches_exactly_the_five_knobs() -> None:
    fields = [d.field for d in SPACES["classic"].dimensions]
    assert sorted(fields) == [
        "buffer_size",
        "exploration_final_eps",
        "exploration_fraction",
        "learning_rate",
        "target_update_interval",
    ]


def test_extended_searches_more_including_the_initial_epsilon() -> None:
    extended = {d.field for d in SPACES["extended"].dimensions}
    assert extended > {d.field for d in SPACES["default"].dimensions}
    assert extended >= {"exploration_initial_eps", "gamma", "batch_size", "net_arch", "train_freq", "double_q"}


@pytest.mark.parametrize("field", SPACES["classic"].fixed)
def test_the_default_space_can_find_what_classic_fixes(field: str) -> None:
    value, default = SPACES["classic"].fixed[field], SPACES["default"]
    if field in default.search:
        if isinstance(value, tuple):
            assert value in default.search[field].choices
        else:
            assert default.search[field].low <= value <= default.search[field].high


def test_rainbow_is_the_default_space_and_which_native_variants_to_use() -> None:
    rainbow, default = SPACES["rainbow"], SPACES["default"]
    for field, item in default.search.items():
        assert dataclasses.replace(rainbow.search[field], when=()) == item
    assert (rainbow.fixed, rainbow.budget, rainbow.derived) == (default.fixed, default.budget, default.derived)
    infos = field_infos(algorithm_class("dqn"))
    switches = {n for n, i in infos.items() if i.learned and not i.sb3 and (i.kind == "bool" or n == "quantiles")}
    assert switches | {"learning_rate_schedule", "n_steps"} <= set(rainbow.search)
    for name in switches | {"learning_rate_schedule"}:
        assert infos[name].default in rainbow.search[name].choices


def test_rainbow_leaves_stable_baselines3_what_it_has() -> None:
    space, dropped = SPACES["rainbow"].for_sb3()
    assert {"noisy", "dueling", "munchausen", "layer_norm", "quantiles", "learning_rate_schedule=cosine"} <= set(
        dropped
    )
    assert space.search["learning_rate_schedule"].choices == ("constant", "linear")
    for seed in range(20):
        assert beyond_sb3(space.resolve(space.sample(RandomSuggest(seed)))) == []


@pytest.mark.parametrize("name", ["default", "extended", "rainbow"])
@pytest.mark.parametrize("env_id", ZOO_TUNED)
def test_tuned_values_of_rl_zoo_lie_inside_the_ranges(name: str, env_id: str) -> None:
    space = SPACES[name].for_environment(env_id)[0].clip_to_budget()
    fields = ("learning_rate", "buffer_size", "target_update_interval", "exploration_fraction", "exploration_final_eps")
    for field, value in zip(fields, ZOO_TUNED[env_id], strict=True):
        item = space.search[field]
        # A memory beyond the run's length holds the same transitions; a target updated more often than the network is
        # trained is the same target.
        reachable = min(value, space.budget.n_timesteps) if field == "buffer_size" else value
        if field == "target_update_interval":
            reachable = max(value, space.fixed.get("train_freq", 1))
        assert item.low <= reachable <= item.high, field


@pytest.mark.parametrize("seed", range(50))
def test_zoo_space_is_rl_zoos_own_like_for_like(seed: int) -> None:
    space = SPACES["zoo"].for_environment("CartPole-v1")[0].clip_to_budget()
    ours = RandomSuggest(seed)
    params = space.sample(ours)
    trial = ZooTrial(params)
    theirs = sample_dqn_params(trial, 2, 1, {"using_her_replay_buffer": False})
    assert sorted(ours.asked) == sorted(trial.asked)
    settings = space.resolve(params).to_mapping()
    theirs["net_arch"] = theirs.pop("policy_kwargs")["net_arch"]
    assert {name: settings[name] for name in theirs} == theirs


def test_space_is_found_by_path_then_here_then_packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = packaged_folder() / "dqn" / "default.yaml"
    assert find_space("default") == packaged
    here = tmp_path / "search_spaces" / "dqn"
    here.mkdir(parents=True)
    (here / "default.yaml").write_text("# mine\n" + packaged.read_text())
    assert find_space("default").resolve() == here / "default.yaml"
    assert find_space(str(packaged)) == packaged
    mine = {listing.name: listing for listing in list_spaces("dqn")}
    assert set(mine) == NAMES and mine["default"].description == "mine"
    assert all(listing.description and listing.algorithm == "dqn" for listing in mine.values())


def test_unknown_space_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"no search space 'defualt'. Did you mean 'default'\? Known: atari, classic, default, extended, minatar",
    ):
        find_space("defualt")
    with pytest.raises(InputError, match=r"There is no search space file nowhere/space\.yaml"):
        find_space("nowhere/space.yaml")
    with pytest.raises(InputError):
        find_space("../dqn/absent")


def test_space_of_another_algorithm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpaceError, match="is dqn, but --algo is fqi"):
        load_by_name(str(packaged_folder() / "dqn" / "default.yaml"), "fqi")
