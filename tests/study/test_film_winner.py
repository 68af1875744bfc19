"""``--record``: the exported setting's agent, its film in the report and in the dashboard."""

import io
import json
import sys

import pytest
import yaml
from optuna.artifacts import get_all_artifact_meta

import tuner
from tuner.seeding import evaluation_seed
from tuner.study.store.connect import open_storage
from tuner.study.upkeep.artifacts import attach
from tuner.training.saved.model_files import load_model


@pytest.fixture
def recipe(tmp_path):
    return tuner.StudyRecipe(
        env="CartPole-v1", trials=2, steps=300, evaluations=2, eval_episodes=2, confirm=0, executor="inline",
        record=True, storage=f"sqlite:///{tmp_path / 'study.db'}", report_dir=str(tmp_path / "reports"),
    )  # fmt: skip


def artifacts(recipe, name):
    import optuna

    study = optuna.load_study(study_name=name, storage=open_storage(recipe.storage, create=False))
    return {meta.filename: meta for meta in get_all_artifact_meta(study)}


def test_the_exported_agent_is_filmed_linked_and_attached(recipe, tmp_path):
    result = tuner.run(recipe)
    folder = result.report.parent / "agent"
    model = load_model(folder)
    exported = yaml.safe_load(result.export.read_text())["CartPole-v1"]
    assert model.spec.hyperparameters.learning_rate == exported["learning_rate"]
    best = result.data.best
    assert [p.returns for p in model.evaluations] == [
        p.returns for p in best.curves[0]
    ]  # the same agent, trained again
    film = json.loads((folder / "video.json").read_text())
    played, _ = tuner.load_agent(folder).evaluate(11, evaluation_seed(recipe.seed, "select", 2))
    assert film["returns"] == [sorted(played)[5]] and film["median_of"] == 11
    page = result.report.read_text()
    assert 'src="agent/video.mp4"' in page and f"return {film['returns'][0]:.4g}" in page
    assert "media-src 'self'" in page and "the median of 11 episodes" in page
    attached = artifacts(recipe, result.name)
    assert set(attached) == {"video.mp4", "video.gif"}
    assert attached["video.mp4"].mimetype == "video/mp4"
    store = tmp_path / "artifacts"
    assert (store / attached["video.mp4"].artifact_id).read_bytes() == (folder / "video.mp4").read_bytes()

    # The same command again: nothing is trained, and no second copy is attached.
    weights = (folder / "weights.npz").stat().st_mtime_ns
    tuner.run(recipe)
    assert (folder / "weights.npz").stat().st_mtime_ns == weights
    assert len(list(store.iterdir())) == 2


def test_a_report_without_a_film_has_no_section_for_it(recipe):
    import dataclasses

    result = tuner.run(dataclasses.replace(recipe, record=False))
    assert "The agent at play" not in result.report.read_text()


def test_a_newer_file_of_the_same_name_takes_the_place(recipe, tmp_path):
    import dataclasses

    result = tuner.run(dataclasses.replace(recipe, record=False))
    file = tmp_path / "video.mp4"
    for content in (b"one", b"two"):
        file.write_bytes(content)
        (key,) = attach(recipe.storage, result.name, [file])
        assert (tmp_path / "artifacts" / key).read_bytes() == content
    assert len(artifacts(recipe, result.name)) == 1


def test_the_dashboard_serves_the_film(recipe):
    from tuner.cli.dashboard import application

    result = tuner.run(recipe)
    key = artifacts(recipe, result.name)["video.mp4"].artifact_id
    answer = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": f"/artifacts/0/{key}", "QUERY_STRING": "", "SERVER_NAME": "x",
        "SERVER_PORT": "80", "wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.errors": sys.stderr, "wsgi.input": io.BytesIO(),
    }  # fmt: skip
    import optuna

    study = optuna.load_study(study_name=result.name, storage=open_storage(recipe.storage, create=False))
    environ["PATH_INFO"] = f"/artifacts/{study._study_id}/{key}"
    parts = application(recipe.storage)(environ, lambda status, *_: answer.append(status))
    body = b"".join(parts)
    parts.close()  # as a server does; the file is open until then
    assert answer[0].startswith("200"), answer
    assert body == (result.report.parent / "agent" / "video.mp4").read_bytes()
