"""Limit on the age of frames, and the advice when it is passed."""

import pytest

from sam6d_ros.runtime.frame_age import age_problem, too_old


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (0.9, ""),
        (-0.9, ""),
        (1.5, "images are 1.50 s older than this node's clock (max_age_s is 1): they are skipped"),
        (1.5, "Synchronise the clocks"),
        (-200.0, "images are 3.3 min ahead of this node's clock (max_age_s is 1): they are taken"),
        (54 * 31_557_600.0, "images are 54.0 years older"),
        (54 * 31_557_600.0, "set use_sim_time to true"),
    ],
)
def test_the_age_of_a_frame_is_judged_with_a_remedy(age_s, said):
    problem = age_problem(age_s, max_age_s=1.0)
    assert said in problem if said else problem == ""
    assert too_old(age_s, 1.0) == (age_s > 1.0)


def test_without_a_limit_every_age_is_fine():
    assert age_problem(1e9, 0.0) == ""
    assert not too_old(1e9, 0.0)
