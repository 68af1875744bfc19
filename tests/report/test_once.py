"""Numbers of a study are worked out once, and those of another anew."""

import factory

from tuner.report.numbers.once import once


def test_numbers_are_kept_for_the_last_study_alone():
    asked = []

    @once
    def count(data):
        """Count."""
        asked.append(data)
        return len(data.trials)

    small, large = factory.study([factory.trial(0)]), factory.study([factory.trial(0), factory.trial(1)])
    assert [count(small), count(small), count(large), count(small)] == [1, 1, 2, 1]
    assert asked == [small, large, small]
    assert count.__doc__ == "Count."
