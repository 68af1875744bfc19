"""``model.zip`` beside each kept agent, for Stable-Baselines3: written in a child process while the report is drawn.

Making it makes the environment, whose code belongs outside this process, and loads Stable-Baselines3, which takes
seconds. With the inline executor the environment may be known in this process alone, so it is done here then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tuner.envs.child import call_in_child
from tuner.errors import TunerError
from tuner.plan.resolve import StudyPlan
from tuner.result.agents import KeptAgent, Place
from tuner.study.search.progress import ProgressListener, warn
from tuner.training.saved.model_files import load_model
from tuner.training.saved.model_zip import ZIP, lacking
from tuner.training.sb3.zips import write_zips


@contextlib.contextmanager
def zips_written(plan: StudyPlan, agents: Mapping[Place, KeptAgent], progress: ProgressListener) -> Iterator[None]:
    """Write the zips that are not there yet; on leaving they are, or it has been said why not.

    Args:
        plan: The study.
        agents: Its kept agents; where one is replaced, its zip goes with it.
        progress: Told why there is no zip.
    """
    folders = [agent.folder for agent in agents.values() if not (agent.folder / ZIP).exists()]
    setting = load_model(folders[0]).spec.hyperparameters if folders else None  # one, of all of them
    if setting is None or not setting.sb3_class:
        yield
        return
    if lack := lacking(setting):
        progress.note(f"The agents have no {ZIP}: {lack}.")
        yield
        return
    module, wrapper = plan.env.module, plan.env.wrapper
    if plan.recipe.executor == "inline":
        yield
        problems = write_zips(folders, module, wrapper, lambda word: None)
    else:
        with ThreadPoolExecutor(1) as beside:
            written = beside.submit(
                call_in_child, write_zips, folders, module, wrapper, subject=plan.env.id, first=f"writing {ZIP}"
            )
            yield
            try:
                problems = written.result()
            except TunerError as error:
                problems = [str(error)]
    for problem in problems:
        warn(progress, f"No {ZIP}: {problem}")
