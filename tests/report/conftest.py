import factory
import pytest

from tuner.result.study import StudyData


@pytest.fixture(scope="session")
def cartpole() -> StudyData:
    return factory.cartpole()
