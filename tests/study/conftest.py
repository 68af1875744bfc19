import pytest


@pytest.fixture(autouse=True)
def _pages_draw_one_figure(pages_of_one_figure):
    """What figures show is for the tests of the report."""
