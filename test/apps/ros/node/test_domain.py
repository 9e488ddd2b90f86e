"""Reserved DDS domains; the tests have numbers of their own, which no graph uses."""

import os
import subprocess
import sys

import pytest

from sam6d_ros.apps.ros.node import domain
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.errors import Sam6dError

HOLDER = """
import sys
from sam6d_ros.apps.ros.node import domain
domain.DOMAINS = [int(number) for number in sys.argv[1:]]
with domain.own_domain(0) as domain_id:
    print(domain_id, flush=True)
    input()
"""


@pytest.fixture
def numbers(monkeypatch):
    first = 1000 + 2 * os.getpid()
    monkeypatch.setattr(domain, "DOMAINS", [first, first + 1])
    return domain.DOMAINS


@pytest.fixture
def holder(numbers):
    """A process that has reserved the first domain."""
    command = [sys.executable, "-c", HOLDER, *map(str, numbers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert int(process.stdout.readline()) == numbers[0]
        yield process
        process.kill()


@pytest.mark.usefixtures("holder")
def test_two_processes_get_different_domains(numbers):
    with own_domain(0) as domain_id:
        assert domain_id == numbers[1]


def test_a_domain_is_free_again_after_its_process_was_killed(holder, numbers):
    holder.kill()
    holder.wait()
    with own_domain(0) as domain_id:
        assert domain_id == numbers[0]


def test_the_search_begins_behind_a_number_and_fails_when_all_are_reserved(numbers):
    with own_domain(1) as first, own_domain(1) as second:
        assert [second, first] == numbers
        with pytest.raises(Sam6dError, match="all 2 DDS domains are in use"), own_domain():
            pass
