"""The hyperparameters of deep Q-learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from tuner.fields import declare
from tuner.hyperparameters.base import Hyperparameters

#: What an update costs whatever its size, in the unit of batch size times bytes of the networks; and what an
#: environment step does, its share of the evaluations included, where the environment is a cheap one.
FIXED_WORK, STEP_WORK = 1e7, 1e6

#: Field to what an update with it costs beside one without (``benchmarks/variants.py``); noise has twice the parameters
#: besides. Prioritised replay trains outside compiled code.
UPDATE_FACTORS = {"double_q": 1.3, "prioritized": 2.7, "munchausen": 1.2, "layer_norm": 1.2, "noisy": 1.1}


@dataclass(frozen=True)
class DQNHyperparameters(Hyperparameters):
    """Deep Q-learning (Mnih et al. 2015). Defaults are Stable-Baselines3's, but for ``buffer_size``'s memory: a run
    never allocates more than its step budget.
    """

    algorithm: ClassVar[str] = "dqn"
    title: ClassVar[str] = "DQN"
    stacks: ClassVar[bool] = True
    image_defaults: ClassVar[Mapping[str, Any]] = {"net_arch": ()}
    sb3_class: ClassVar[str] = "stable_baselines3.DQN"
    costly: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "net_arch",
        "cnn",
        "train_freq",
        "gradient_steps",
        "buffer_size",
        "learning_starts",
        "double_q",
        "prioritized",
        "quantiles",
    )
    wrapped: ClassVar[tuple[str, ...]] = ("normalize_observations", "normalize_rewards")

    learning_rate: float = declare(1e-4, "Step size of the optimizer.", low=0.0, low_open=True, high=1.0)
    buffer_size: int = declare(
        1_000_000, "Transitions the replay memory holds; the oldest go first.", low=1, high=1e7, unit="transitions"
    )
    learning_starts: int = declare(
        100, "Steps of uniformly random play before the first gradient step.", low=0, high=1e7, unit="environment steps"
    )
    batch_size: int = declare(32, "Transitions per gradient step.", low=1, high=8192, unit="transitions", scope="shape")
    tau: float = declare(
        1.0,
        "Share of the online network that each target update takes over; 1 copies it.",
        low=0.0,
        low_open=True,
        high=1.0,
    )
    gamma: float = declare(0.99, "Discount factor per environment step.", low=0.0, high=1.0)
    train_freq: int = declare(
        4, "Steps collected between two training calls.", low=1, high=100_000, unit="environment steps"
    )
    gradient_steps: int = declare(
        1,
        "Gradient steps per training call; -1 does as many as steps were collected.",
        low=-1,
        high=100_000,
        unit="updates",
    )
    n_steps: int = declare(
        1,
        "Rewards summed before bootstrapping: n-step returns (Sutton 1988; Hessel et al. 2018).",
        low=1,
        high=1000,
        unit="environment steps",
        idea="n-step returns [@sutton1988]",
    )
    target_update_interval: int = declare(
        10_000, "Steps between two updates of the target network.", low=1, high=1e7, unit="environment steps"
    )
    exploration_fraction: float = declare(
        0.1,
        "Share of the run over which epsilon falls from its initial to its final value.",
        low=0.0,
        high=1.0,
        unit="share of the run",
    )
    exploration_initial_eps: float = declare(
        1.0, "Probability of a random action at the start.", low=0.0, high=1.0, unit="probability"
    )
    exploration_final_eps: float = declare(
        0.05, "Probability of a random action once epsilon has fallen.", low=0.0, high=1.0, unit="probability"
    )
    max_grad_norm: float = declare(
        10.0, "Bound on the Euclidean norm of the gradient.", low=0.0, low_open=True, high=1e9
    )
    net_arch: tuple[int, ...] = declare(
        (64, 64), "Widths of the hidden layers.", kind="layers", low=1, high=4096, unit="units", scope="shape",
        place="policy",
    )  # fmt: skip
    normalize_observations: bool = declare(
        False,
        "Shift and scale observations by their running mean and deviation, within 10 deviations (SB3's VecNormalize).",
        place="environment",
    )
    normalize_rewards: bool = declare(
        False,
        "Scale rewards by the running deviation of the discounted return, within 10 of them (SB3's VecNormalize).",
        place="environment",
    )
    cnn: str = declare(
        "nature",
        "Convolutions on images of at least 36 x 36 (Mnih et al. 2015; van Hasselt et al. 2019, at half the cost).",
        choices=("nature", "data_efficient"),
        scope="shape",
        sb3=False,
    )
    optimizer: str = declare("adam", "Gradient descent rule.", choices=("adam", "rmsprop"), scope="shape", sb3=False)
    optimizer_eps: float = declare(
        1e-8,
        "Added to the root of the mean square gradient; QRDQN has 0.01 / batch_size (Dabney et al. 2018).",
        low=1e-16,
        high=1.0,
        scope="shape",
        sb3=False,
        younger=True,
    )
    loss: str = declare(
        "huber", "Loss on the temporal-difference error.", choices=("huber", "mse"), scope="shape", sb3=False
    )
    exploration_schedule: str = declare("linear", "How epsilon falls.", choices=("linear", "exponential"), sb3=False)
    learning_rate_schedule: str = declare(
        "constant",
        "How the step size goes over the run; linear (RL Zoo's lin_3e-4) and cosine fall to 0 at its end.",
        choices=("constant", "linear", "cosine"),
        native_choices=("cosine",),
        place="schedule",
        younger=True,
        idea="a learning rate that falls along a cosine [@loshchilov2017]",
    )
    double_q: bool = declare(
        False,
        "Choose the next action with the online network, value it with the target (van Hasselt et al. 2016).",
        scope="shape",
        sb3=False,
        idea="double Q-learning [@vanhasselt2016]",
    )

    layer_norm: bool = declare(
        False,
        "Normalise the layers of net_arch before their ReLU, with a gain and a bias that are learned (Ba et al. 2016).",
        scope="shape",
        sb3=False,
        younger=True,
        idea="layer normalisation [@ba2016]",
    )
    quantiles: int = declare(
        1,
        "Quantiles of each action's return that are learned by quantile regression (Dabney et al. 2018); 1: its mean.",
        low=1,
        high=200,
        unit="quantiles",
        scope="shape",
        sb3=False,
        compiled=3,
        younger=True,
        idea="quantile regression [@dabney2018]",
    )
    noisy: bool = declare(
        False,
        "Explore by noise on weights, its size learned (Fortunato et al. 2018); epsilon is 0, whatever is said of it.",
        scope="shape",
        sb3=False,
        compiled=3,
        younger=True,
        idea="noisy networks [@fortunato2018]",
    )
    noisy_sigma: float = declare(
        0.5,
        "Size of that noise at first, times the root of a layer's inputs.",
        low=0.0,
        high=10.0,
        scope="shape",
        sb3=False,
        younger=True,
    )
    munchausen: bool = declare(
        False,
        "Bootstrap from a softmax policy and add its log-probability to rewards: M-DQN (Vieillard et al. 2020).",
        scope="shape",
        sb3=False,
        younger=True,
        idea="Munchausen targets [@vieillard2020]",
    )
    munchausen_alpha: float = declare(
        0.9,
        "Share of the clipped log-probability that munchausen adds to rewards; 0 leaves soft DQN.",
        low=0.0,
        high=1.0,
        sb3=False,
        younger=True,
    )
    munchausen_tau: float = declare(
        0.03,
        "Temperature of munchausen's softmax policy: weight of its entropy.",
        low=1e-6,
        high=100.0,
        unit="return",
        sb3=False,
        younger=True,
    )
    munchausen_clip: float = declare(
        -1.0,
        "Least log-probability, times munchausen_tau, that munchausen adds to a reward.",
        low=-1e6,
        high=0.0,
        unit="reward",
        sb3=False,
        younger=True,
    )
    dueling: bool = declare(
        False,
        "Read a state value and mean-subtracted advantages off the last hidden layer (Wang et al. 2016).",
        scope="shape",
        sb3=False,
        idea="dueling heads [@wang2016]",
    )
    prioritized: bool = declare(
        False,
        "Draw transitions in proportion to their last error: prioritised replay (Schaul et al. 2016).",
        scope="shape",
        sb3=False,
        compiled=None,
        idea="prioritised replay [@schaul2016]",
    )
    priority_alpha: float = declare(0.6, "How much priorities matter; 0 draws uniformly.", low=0.0, high=1.0, sb3=False)
    priority_beta: float = declare(
        0.4,
        "How much of the bias importance weights correct at the start; it rises to 1 by the end of the run.",
        low=0.0,
        high=1.0,
        sb3=False,
    )

    weight_averaging: float = declare(
        0.0,
        "Average the network over this share of the run; its average is evaluated and saved (Nikishin et al. 2018).",
        low=0.0,
        high=1.0,
        unit="share of the run",
        sb3=False,
        learned=False,
    )

    def epsilon_course(self) -> tuple[str, float, float, float]:
        """Return (schedule, initial epsilon, final epsilon, share of the run over which it falls)."""
        ends = (0.0, 0.0) if self.noisy else (self.exploration_initial_eps, self.exploration_final_eps)
        return self.exploration_schedule, *ends, self.exploration_fraction

    def updates_per_call(self) -> int:
        """Gradient steps per training call with ``-1`` resolved as Stable-Baselines3 does."""
        return self.train_freq if self.gradient_steps < 0 else self.gradient_steps

    def sums_normalized_rewards(self) -> bool:
        """Whether native returns are sums of several normalised rewards."""
        return self.normalize_rewards and self.n_steps > 1

    def random_steps(self, n_timesteps: int) -> int:
        """Return how many steps of a run are uniformly random play."""
        return min(self.learning_starts, n_timesteps)

    def steady(self, *, learns: bool) -> Self:
        """Return settings that explore as much at each step as these do over a run: who explores asks no network."""
        falls = self.exploration_fraction * (self.exploration_initial_eps - self.exploration_final_eps) / 2
        mean = self.exploration_final_eps + falls
        starts = 0 if learns else 10_000_000
        return replace(self, learning_starts=starts, exploration_initial_eps=mean, exploration_final_eps=mean)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run: about proportional to its seconds on a CPU."""
        update = self.batch_size * network_bytes + FIXED_WORK
        for name, factor in UPDATE_FACTORS.items():
            update *= factor if getattr(self, name) else 1.0
        if self.quantiles > 1:  # each quantile against each of the target's, and the rows of a minibatch by action
            pairs = self.quantiles**2
            update += self.batch_size * (65 * pairs + 2e3 * self.quantiles + 6e4 if self.compiles() else 4e3 * pairs)
        calls = max(n_timesteps - self.learning_starts, 0) / self.train_freq
        return calls * self.updates_per_call() * update + calls * FIXED_WORK + n_timesteps * STEP_WORK

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time; how much its replay memory holds hardly does."""
        return (self.train_freq, self.updates_per_call(), self.learning_starts, *self.shape())
