import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import optuna
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from study_fakes import make_plan, search, supervise

from tuner.errors import InputError, MissingExtraError, StorageLostError, StudyLockedError, TunerError
from tuner.file_lock import take_lock
from tuner.storage_url import default_storage, mask, mask_arguments, passwords, scrub
from tuner.study.reading.domain import Domain, domain_of_json
from tuner.study.reading.stored_study import stored_study
from tuner.study.reading.study import load
from tuner.study.reading.summaries import list_studies
from tuner.study.store import catalog, connect, database, locks
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import UNREADABLE, sqlite_path
from tuner.study.store.health import unfinished_studies
from tuner.study.store.locks import lock_owner, lock_path, study_lock
from tuner.study.store.spool import spool_of

SECRET = "S3cret"


# Passwords.


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{SECRET}@h/db",
        f"postgresql+psycopg://u:{SECRET}@h:5432/db?sslmode=require",
        f"--storage=postgresql://u:{SECRET}@h/db",
        f"postgresql://h/db?user=u&password={SECRET}",
        f"postgresql://u:x@{SECRET}@h/db",
        f"could not connect to postgresql://:{SECRET}@h/db, sorry",
        f"postgresql://u:a/{SECRET}@h/db",
        f"postgresql://me@corp:{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:my {SECRET}@h/db",
        f"--storage=postgresql://my user:{SECRET}@h/db",
        f"postgresql://h/db?user=u&password=it's my {SECRET}",
        f"postgresql://h:5432/db?password=a@{SECRET}",
        f"öl://u:{SECRET}@h/db",
    ],
)
def test_no_mask_leaves_the_password(text):
    assert SECRET not in mask(text)
    assert "***" in mask(text)


PRINTABLE = st.text(st.characters(exclude_categories=["C"]), max_size=20)


@given(user=PRINTABLE.filter(lambda user: not user.startswith("/")), password=PRINTABLE.filter(bool))
def test_of_a_password_of_any_characters_a_mask_leaves_nothing(user, password):
    head, tail = f"postgresql://{user}:", "@host/db"
    before, mark, after = mask(f"{head}{password}{tail}").rpartition("***")
    assert mark and head.startswith(before) and tail.endswith(after)


@given(user=PRINTABLE, password=PRINTABLE)
def test_what_sqlalchemy_takes_for_the_password_is_one(user, password):
    url = f"postgresql://{user}:{password}@host/db"
    with contextlib.suppress(sqlalchemy.exc.ArgumentError, ValueError):
        taken = sqlalchemy.make_url(url).password
        assert not taken or taken in passwords(url)


def test_no_part_of_a_password_is_left_in_the_message_of_a_driver_that_took_the_rest_for_the_host():
    cleaned = scrub(
        f'could not translate "{SECRET}@h", user "u", password "my s"', f"postgresql://u:my s@{SECRET}@h/db"
    )
    assert cleaned == 'could not translate "***h", user "u", password "***"'


def test_a_mask_keeps_what_is_no_password():
    assert mask("postgresql://u:pw@h:5432/db") == "postgresql://u:***@h:5432/db"
    assert mask("postgresql://me@corp:my pw@h:5432/db") == "postgresql://me@corp:***@h:5432/db"
    for harmless in (
        "sqlite:///studies/tuner.db", "sqlite:////My Files/a:b@c.db", "postgresql://u@h:5432/db", "--env", "a:b@c",
        "learning_rate=1e-3",
    ):  # fmt: skip
        assert mask(harmless) == harmless


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=4, max_size=20))
def test_a_password_leaves_no_trace_in_anothers_message_encoded_or_not(password):
    url = f"postgresql://user:{quote(password, safe='')}@host/db"
    message = f"FATAL: cannot use <<{quote(password, safe='')}>> nor <<{password}>>"
    cleaned = scrub(message, url)
    assert f"<<{password}>>" not in cleaned
    assert f"<<{quote(password, safe='')}>>" not in cleaned


def test_command_lines_are_masked_word_by_word():
    words = ["tune", "--storage", f"postgresql://u:{SECRET}@h/d", f"--storage=postgresql://u:{SECRET}@h/d"]
    assert not any(SECRET in word for word in mask_arguments(words))
    assert mask_arguments(words)[0] == "tune"


# URLs that cannot work.


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", ["database URL", "sqlite:///"]),
        (f"foo://u:{SECRET}@h/db", ["'foo'", "postgresql://"]),
        (f"postgresql+nodriver://u:{SECRET}@h/db", ["postgresql+nodriver"]),
        (f"postgresql://u:{SECRET}@h:port/db", ["%XX"]),
        (f"journal://u:{SECRET}@h", ["'journal'"]),
    ],
)
def test_a_url_that_cannot_work_is_one_line_without_the_password(url, words):
    with pytest.raises(InputError) as error:
        open_storage(url, create=True)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_driver_names_the_package():
    with pytest.raises(MissingExtraError, match="PyMySQL") as error:
        open_storage(f"mysql+pymysql://u:{SECRET}@localhost/db", create=True)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("password", [SECRET, f"{SECRET}{{0}}", f"{SECRET}{{b}}"])
def test_a_database_that_does_not_answer_is_one_line_without_the_password(monkeypatch, password):
    import sqlalchemy
    from optuna.storages import RDBStorage

    seen = []

    def refuse(self, url, **kwargs):
        seen.append(self._fill_storage_url_template(url))
        raise sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(f"auth failed for {password}\nhint: none"))

    monkeypatch.setattr("tuner.study.store.connect._ReadyStorage.of", lambda *arguments: None)
    monkeypatch.setattr(RDBStorage, "__init__", refuse)
    url = f"postgresql://u:{password}@h/db"
    monkeypatch.setattr("tuner.study.store.connect.parse_url", lambda u: sqlalchemy.make_url("postgresql://h/db"))
    with pytest.raises(InputError, match="auth failed") as error:
        open_storage(url, create=True)
    assert seen == [url]  # braces reach the database as they were given
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_made_for_a_study_and_nothing_is_made_for_a_reader(tmp_path):
    url = f"sqlite:///{tmp_path}/new/deep/s.db"
    with pytest.raises(InputError, match="no database"):
        list_studies(url)
    assert not (tmp_path / "new").exists()
    open_storage(url, create=True)
    assert (tmp_path / "new" / "deep" / "s.db").is_file()
    assert list_studies(url) == []


def test_a_folder_or_another_file_in_place_of_the_database_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("this is not a database, just a long enough text file " * 40)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a folder"):
        open_storage(f"sqlite:///{tmp_path}", create=True)
    with pytest.raises(InputError, match="is a folder"):
        sqlite_path("sqlite:///.")
    with pytest.raises(InputError, match="not a database"):
        open_storage(f"sqlite:///{tmp_path}/text.db", create=True)
    with pytest.raises(InputError, match="cannot be made"):
        open_storage(f"sqlite:///{tmp_path}/file/s.db", create=True)


def test_sqlite_runs_in_write_ahead_mode_so_readers_do_not_block(tmp_path):
    open_storage(f"sqlite:///{tmp_path}/s.db", create=True)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_tables_that_are_the_newest_are_opened_without_alembic_as_optuna_opens_them(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    theirs = RDBStorage(url)
    newest = theirs.get_head_version()
    opened = open_storage(url, create=False)._backend
    assert type(opened) is not RDBStorage
    assert vars(opened).keys() == vars(theirs).keys()
    with sqlite3.connect(tmp_path / "s.db") as database:
        assert database.execute("update alembic_version set version_num = 'v3.0.0.d'").rowcount == 1
        database.commit()
        with pytest.raises(InputError, match="optuna storage upgrade"):
            open_storage(url, create=False)
        database.execute("update alembic_version set version_num = ?", (newest,))
    assert type(open_storage(url, create=False)._backend) is type(opened)


@pytest.mark.parametrize("words", [("list",), ("show", "s"), ("doctor",)])
def test_a_command_that_only_looks_loads_no_more_than_it_needs(tmp_path, words):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=2, study="s"))
    heavy = ("torch", "gymnasium", "pandas", "plotly", "jinja2", "sklearn", "scipy.stats", "scipy.optimize", "alembic",
             "sqlalchemy.dialects.postgresql", "optuna.visualization", "optuna.importance")  # fmt: skip
    code = f"import sys; from tuner.cli.app import main; assert main({[*words, '--storage', url]}) == 0; "
    code += f"loaded = set({heavy}) & set(sys.modules); assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_default_storage_comes_from_the_variable(monkeypatch):
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    assert default_storage() == "sqlite:///studies/tuner.db"
    monkeypatch.setenv("TUNE_STORAGE", "sqlite:///other.db")
    assert default_storage() == "sqlite:///other.db"


def test_a_database_that_goes_away_is_exit_code_four_without_the_password():
    from optuna.exceptions import StorageInternalError

    with pytest.raises(StorageLostError) as error, storage_errors(f"postgresql://u:{SECRET}@h/db"):
        raise StorageInternalError(f"lost {SECRET}")
    assert error.value.exit_code == 4
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("rest", ["", "/:memory:", "/file:a.db?uri=true", "/why?/a.db"])
def test_what_is_no_path_is_refused_before_anything_is_trained(rest):
    with pytest.raises(InputError, match="needs the path of a file"):
        sqlite_path(f"sqlite://{rest}")


@pytest.mark.parametrize("name", ["a.db", "a b.db", "a%20b.db", "100%.db", "a%2Fb.db", "\udcff.db", "?.db"])
def test_lock_spool_and_readers_have_the_file_that_sqlalchemy_opens(tmp_path, monkeypatch, name):
    """Version 2.1 decodes %XX, 2.0 does not: two names of one file would be two locks, for two supervisors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    url = f"sqlite:///{name.replace('?', '%3F')}"
    optuna.create_study(study_name="mine", storage=open_storage(url, create=True))
    found = sqlite_path(url)
    assert found.exists()
    assert lock_path(found, "mine").parent == found.resolve().parent
    assert [study.name for study in list_studies(url)] == ["mine"]
    assert spool_of(url, "mine").read() == []


# One owner.


def test_a_second_owner_is_refused_and_told_of_the_first(tmp_path):
    database = tmp_path / "s.db"
    with study_lock(database, "mine"):
        with pytest.raises(StudyLockedError, match=rf"process {os.getpid()} on .* since 20") as error:
            study_lock(database, "mine").__enter__()
        assert error.value.exit_code == 2
        with study_lock(database, "other"):
            pass
    with study_lock(database, "mine"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_owners_lock_is_taken_over(tmp_path):
    database = tmp_path / "s.db"
    code = (
        "import sys, time, pathlib; from tuner.study.store.locks import study_lock\n"
        "with study_lock(pathlib.Path(sys.argv[1]), 'mine'):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(database)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StudyLockedError, match=f"process {process.pid} "):
            study_lock(database, "mine").__enter__()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert lock_path(database, "mine").exists()
    with study_lock(database, "mine"):
        assert json.loads(lock_path(database, "mine").read_text())["pid"] == os.getpid()


@pytest.fixture
def killed(tmp_path):
    """Return the lock file of a killed owner, open."""
    owner = {"host": socket.gethostname(), "pid": 2**31 - 1, "since": "2026-01-01T00:00:00+00:00"}
    path = lock_path(tmp_path / "s.db", "mine")
    path.write_text(json.dumps(owner))
    with path.open("r+") as file:
        yield file


def test_a_killed_owners_study_is_taken_over_while_somebody_looks_who_owns_it(tmp_path, killed, monkeypatch):
    take_lock(killed.fileno(), shared=True)  # as lock_owner does
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: killed.close())
    with study_lock(tmp_path / "s.db", "mine"):
        assert lock_owner(tmp_path / "s.db", "mine") == f"{socket.gethostname()}:{os.getpid()}"


def test_somebody_who_looks_at_a_lock_does_not_pass_for_a_process_that_has_the_killed_owners_number(
    tmp_path, killed, monkeypatch
):
    killed.truncate(0)
    killed.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": "2026-01-01T00:00:00+00:00"}))
    killed.flush()
    take_lock(killed.fileno(), shared=True)
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: killed.close())
    with study_lock(tmp_path / "s.db", "mine"):
        assert killed.closed


def test_whoever_is_just_taking_a_killed_owners_study_over_is_named_as_its_owner(tmp_path, killed, monkeypatch):
    take_lock(killed.fileno())

    def says_who(seconds):
        killed.seek(0)
        killed.write(json.dumps({"host": "elsewhere", "pid": 7, "since": "now"}) + " " * 200)
        killed.flush()

    monkeypatch.setattr(locks.time, "sleep", says_who)
    with pytest.raises(StudyLockedError, match="is being run by process 7 on elsewhere since now"):
        study_lock(tmp_path / "s.db", "mine").__enter__()


@pytest.mark.parametrize(
    ("pid", "who"), [("Infinity", "another process"), ("[]", "another process"), ("1e30", "process 10000000000")]
)
def test_an_owner_that_no_process_can_be_is_one_line(tmp_path, killed, monkeypatch, pid, who):
    killed.truncate(0)
    killed.write(f'{{"host": "{socket.gethostname()}", "pid": {pid}, "since": "now"}}')
    killed.flush()
    take_lock(killed.fileno())
    monkeypatch.setattr(locks, "TAKE_OVER_S", 0.05)
    assert (lock_owner(tmp_path / "s.db", "mine") == "unknown") == (who == "another process")
    with pytest.raises(StudyLockedError, match=f"is being run by {who}"):
        study_lock(tmp_path / "s.db", "mine").__enter__()


# Reading studies.


def test_a_missing_study_names_the_nearest(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=1, study="cartpole"))
    with pytest.raises(InputError, match="Did you mean 'cartpole'"):
        load("cartpol", url)


def test_a_study_is_listed_with_its_state(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=2, study="b"))
    search(make_plan(url, trials=1, study="a"))
    summaries = list_studies(url)
    assert [(s.name, s.env, s.backend, s.trials, s.asked) for s in summaries] == [
        ("a", "Fake-v0", "native", 1, 1),
        ("b", "Fake-v0", "native", 2, 2),
    ]
    assert summaries[1].best == load("b", url).best.score
    assert abs(summaries[1].started.timestamp() - time.time()) < 600


def test_importance_sums_to_one_and_needs_enough_trials(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    options = {"study": "s", "pruner": "none", "sampler": "random", "evaluations": 1}
    search(make_plan(url, trials=9, **options))
    assert load("s", url).importance == {}
    search(make_plan(url, trials=30, **options))
    data = load("s", url)
    assert sum(data.importance.values()) == pytest.approx(1.0)
    assert max(data.importance, key=data.importance.get) == "learning_rate"
    assert data.importance_trials == 30


def test_everything_in_the_tables_is_plain_and_the_password_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tune", "--storage", f"postgresql://u:{SECRET}@h/d"])
    from tuner.study.search.provenance import provenance

    stored = provenance(numeric_path="numpy-cpu")
    assert SECRET not in json.dumps(stored)
    assert {"python", "torch", "numpy", "optuna", "gymnasium", "stable-baselines3"} <= set(stored["versions"])
    assert {"cpu", "cores", "memory_gb"} <= set(stored["hardware"])


def test_the_stored_command_can_be_typed_however_the_program_was_started(monkeypatch):
    from tuner.study.search.provenance import provenance

    for started, words in (
        ("/x/bin/tune", ["tune"]),
        ("/x/tuner/__main__.py", ["python", "-m", "tuner"]),
        ("", ["python"]),
    ):
        monkeypatch.setattr(sys, "argv", [started, "list"])
        assert provenance(numeric_path="numpy-cpu")["command"] == [*words, "list"]


def test_storage_errors_lets_our_own_errors_pass():
    with pytest.raises(TunerError, match="mine"), storage_errors("sqlite://"):
        raise InputError("mine")


def test_reading_one_study_and_listing_all_read_no_other_studys_trials(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/s.db"
    for name in ("s", "other"):
        search(make_plan(url, trials=3, study=name))
    read, of = [], RDBStorage.get_all_trials

    def get_all_trials(self, study_id, *arguments, **options):
        read.append(study_id)
        return of(self, study_id, *arguments, **options)

    monkeypatch.setattr(RDBStorage, "get_all_trials", get_all_trials)
    assert [(s.name, s.trials, s.best is not None) for s in list_studies(url)] == [("other", 3, True), ("s", 3, True)]
    assert unfinished_studies(url) == []
    assert read == []
    load("other", url)
    assert set(read) <= {2}


def test_studies_are_listed_alike_by_query_and_by_optunas_interface(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=6, study="s"))
    supervise(make_plan(url, trials=6, study="t")).take({}, block=False)
    theirs = optuna.create_study(study_name="theirs", storage=url, direction="maximize")
    theirs.add_trial(optuna.trial.create_trial(value=4.0))
    theirs.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
    by_query = list_studies(url), unfinished_studies(url)
    assert [s.trials for s in by_query[0]] == [6, 0, 2]
    assert by_query[0][2].best == 4.0
    assert [(u.study, u.trials) for u in by_query[1]] == [("t", 1)]
    monkeypatch.setattr(database, "KNOWN_TABLES", "another")
    assert (list_studies(url), unfinished_studies(url)) == by_query
    monkeypatch.setattr("tuner.study.store.writer.known_tables", lambda storage: None)
    assert (list_studies(url), unfinished_studies(url)) == by_query


def test_a_study_is_read_alike_by_query_and_by_optunas_interface(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=12, study="s"))
    supervise(make_plan(url, trials=20, study="s")).take({}, block=False)
    drawn_from = {
        "a": optuna.distributions.CategoricalDistribution(["x", None, 3, True]),
        "b": optuna.distributions.IntDistribution(1, 9, step=2),
        "c": optuna.distributions.FloatDistribution(1e-5, 1.0, log=True),
    }
    strange = optuna.trial.create_trial(
        value=float("inf"), params={"c": 0.1, "b": 3, "a": None}, distributions=drawn_from, system_attrs={"k": [1]},
        intermediate_values={1: float("inf"), 2: float("nan"), 3: float("-inf"), 4: 0.1},
    )  # fmt: skip
    optuna.load_study(study_name="s", storage=url).add_trial(strange)

    def plain(study):
        trials = [vars(t) | {"intermediate_values": repr(sorted(t.intermediate_values.items()))} for t in study.trials]
        return study.name, study.attributes, trials, [list(t.params) for t in study.trials]

    with contextlib.closing(database.open_known(tmp_path / "s.db")) as connection:
        by_query = stored_study("s", connection)
        assert stored_study("t", connection) is None
    storage = open_storage(url, create=False)
    assert plain(by_query) == plain(stored_study("s", storage))
    assert stored_study("t", storage) is None
    assert {t.state for t in by_query.trials} >= {"COMPLETE", "RUNNING"}


@pytest.mark.parametrize("words", [["show", "s"], ["list"], ["report", "s", "--report-dir", "r"], ["export", "s"]])
def test_looking_at_a_file_loads_neither_optuna_nor_sqlalchemy(tmp_path, words):
    search(make_plan(f"sqlite:///{tmp_path}/s.db", trials=3, study="s"))
    code = (
        "import sys\nfrom tuner.cli.app import main\n"
        f"assert main([*{words}, '--storage', 'sqlite:///s.db']) == 0\n"
        "print([m for m in ('optuna', 'sqlalchemy', 'torch', 'gymnasium') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "drawn_from",
    [
        optuna.distributions.FloatDistribution(0.0, 1.0),
        optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25),
        optuna.distributions.FloatDistribution(2.0, 2.0),
        optuna.distributions.IntDistribution(1, 1000, log=True),
        optuna.distributions.IntDistribution(3, 3),
        optuna.distributions.CategoricalDistribution([1, True, None, "a", 0.5]),
        optuna.distributions.CategoricalDistribution(["only"]),
    ],
)
def test_a_stored_range_is_read_as_optuna_reads_it(drawn_from):
    domain = domain_of_json(optuna.distributions.distribution_to_json(drawn_from))
    assert domain == Domain.of(drawn_from)
    assert domain.single == drawn_from.single()
    for stored in range(len(drawn_from.choices)) if domain.choices is not None else (drawn_from.low, drawn_from.high):
        ours, theirs = domain.value(float(stored)), drawn_from.to_external_repr(float(stored))
        assert (ours, type(ours)) == (theirs, type(theirs))
        assert domain.choices is None or domain.place(ours) == stored


def test_a_range_of_an_old_optuna_is_read():
    text = '{"name": "LogUniformDistribution", "attributes": {"low": 0.001, "high": 0.1}}'
    with pytest.warns(FutureWarning):
        assert domain_of_json(text) == Domain(0.001, 0.1, log=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "FloatDistribution", "attributes": {"low": 1.0, "high": 0.0, "log": false, "step": null}}',
        '{"name": "FloatDistribution", "attributes": {"low": NaN, "high": 0.0}}',
        '{"name": "ElsewhereDistribution", "attributes": {}}',
        "[]",
        "{}",
    ],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UNREADABLE):
        domain_of_json(text)


def test_our_own_queries_are_for_optunas_newest_tables():
    assert connect._newest_version() == database.KNOWN_TABLES


def test_a_list_and_a_look_for_running_trials_load_neither_optuna_nor_sqlalchemy(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    supervise(make_plan(url, trials=2, study="s")).take({}, block=False)
    code = """
import sys
from tuner.study.reading.summaries import list_studies
from tuner.study.store.health import unfinished_studies
(listed,), (unfinished,) = list_studies(sys.argv[1]), unfinished_studies(sys.argv[1])
assert (listed.name, unfinished.trials) == ("s", 1)
assert not {"optuna", "sqlalchemy", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, url], check=True)


def test_commands_that_make_the_same_new_database_at_one_moment_all_get_it(tmp_path):
    """Optuna looks for missing tables and makes them, in two steps."""
    url, barrier = f"sqlite:///{tmp_path}/new.db", threading.Barrier(6)

    def make(_):
        barrier.wait()
        return catalog.study_names(open_storage(url, create=True))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(make, range(6))) == [[]] * 6


def test_write_ahead_mode_is_turned_on_once_the_others_are_done(tmp_path):
    """SQLite refuses it at once, whatever the timeout, while another is about to write."""
    url, path = f"sqlite:///{tmp_path}/s.db", tmp_path / "s.db"
    open_storage(url, create=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert catalog.study_names(open_storage(url, create=True)) == []
        timer.join()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_database_that_refuses_whoever_makes_it_with_others_is_tried_again_even_where_optuna_hides_why(
    tmp_path, monkeypatch
):
    makes, refusals = connect.RDBStorage, [0]

    def refused_twice(*arguments, **named):
        refusals[0] += 1
        if refusals[0] > 2:
            return makes(*arguments, **named)
        locked = sqlalchemy.exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))
        raise StorageInternalError("An exception is raised during the commit.") from locked

    monkeypatch.setattr(connect, "RDBStorage", refused_twice)
    assert catalog.study_names(open_storage(f"sqlite:///{tmp_path}/s.db", create=True)) == []
    assert refusals == [3]


def test_a_table_whose_index_was_never_made_gets_it_before_two_studies_can_have_one_name(tmp_path):
    """As a process leaves a database that died, or met a full disk, between the two."""
    path = tmp_path / "s.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP INDEX ix_studies_study_name")
        connection.execute("DROP TABLE alembic_version")
    storage = open_storage(f"sqlite:///{path}", create=True)
    optuna.create_study(storage=storage, study_name="s")
    with contextlib.closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO studies (study_name) VALUES ('s')")


def test_a_lock_file_that_cannot_be_removed_is_no_fault_and_nobodys_lock(tmp_path, monkeypatch):
    def refuse(self, missing_ok=False):
        raise OSError(28, "No space left on device")

    database = tmp_path / "s.db"
    database.touch()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        with study_lock(database, "s"):
            pass
    assert lock_path(database, "s").exists()
    with study_lock(database, "s"):
        pass
    assert not lock_path(database, "s").exists()


@pytest.mark.parametrize("statements", ["", "create table bookmarks (url); insert into bookmarks values ('x')"])
def test_a_look_at_another_programs_database_changes_no_byte_of_it(tmp_path, statements):
    path = tmp_path / "theirs.db"
    path.touch()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)
    before = path.read_bytes()
    for look in (list_studies, lambda url: load("s", url), lambda url: open_storage(url, create=False)):
        with pytest.raises(InputError, match=r"theirs.db holds no studies, nor any table for them. Run a study first"):
            look(f"sqlite:///{path}")
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["theirs.db"]


@pytest.mark.parametrize(
    ("lacking", "says"),
    [(os.R_OK, r"may not be read\.$"), (os.W_OK, r"may not be written, and reading it takes that, too\. Copy it to")],
)
def test_a_database_that_may_not_be_used_says_what_to_do(tmp_path, monkeypatch, lacking, says):
    (tmp_path / "s.db").touch()
    monkeypatch.setattr(connect.os, "access", lambda path, mode: not mode & lacking)
    with pytest.raises(InputError, match=says):
        open_storage(f"sqlite:///{tmp_path}/s.db", create=False)
