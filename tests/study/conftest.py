import pytest
from optuna.storages._rdb.storage import _VersionManager


@pytest.fixture(scope="session", autouse=True)
def _newest_schema_is_looked_up_once():
    """Opening a database reads all of Optuna's migration scripts, a tenth of a second; they do not change here."""
    original, known = _VersionManager.get_head_version, []

    def get_head_version(self):
        if not known:
            known.append(original(self))
        return known[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "get_head_version", get_head_version)
        yield


@pytest.fixture(autouse=True)
def _pages_draw_one_figure(pages_of_one_figure):
    """What figures show is for the tests of the report."""
