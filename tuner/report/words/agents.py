"""The agents that a search has kept, and how one is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData


def agent_code(agent: KeptAgent, data: StudyData) -> str:
    """Return the lines of Python that let a kept agent act."""
    module = data.recipe.get("env_module") or str(data.recipe.get("env", "")).rpartition(":")[0]
    named = f", env_module={str(module)!r}" if module else ""
    if wrapper := [str(each) for each in data.recipe.get("wrapper") or ()]:
        named += f", wrapper={wrapper!r}"
    return f"agent = tuner.load_agent({agent.folder.as_posix()!r}{named})\naction = agent.act(observation)"


def agent_facts(agents: Mapping[Place, KeptAgent]) -> dict[str, Any]:
    """Return what ``report.json`` says of kept agents; their folders lie beside it."""
    return {
        place: {
            "path": f"{agent.folder.parent.name}/{agent.folder.name}",
            "trial": agent.trial,
            "seed": agent.seed,
            "score": agent.score,
            "runs": agent.runs,
            "curve": {"step": [p.step for p in agent.curve], "mean": [p.mean for p in agent.curve]},
        }
        for place, agent in agents.items()
    }
