import factory
import pytest

from tuner.study.results import StudyData


@pytest.fixture(scope="session")
def cartpole() -> StudyData:
    return factory.cartpole()
