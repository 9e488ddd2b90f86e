"""Supervision of Triton without a server: which models are loaded again after a crash."""

import threading

from sam6d_ros.detectors.triton.admin import ModelState
from sam6d_ros.detectors.triton.supervisor import Supervisor


class Process:
    """Server that runs until it is ended."""

    exit_status = None

    def wait_ready(self):
        pass

    def stop(self):
        self.exit_status = 0


class Admin:
    """Control of a server that has models already, and notes what it is asked to load."""

    def __init__(self, models):
        self.models, self.loaded, self.looked = models, [], threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def load(self, name):
        self.loaded.append(name)

    def states(self, probe=True):
        assert not probe, "it is not due for minutes"
        self.looked.set()
        return [ModelState(name, "READY") for name in self.models]


def test_a_model_loaded_since_the_last_probe_is_loaded_again_after_a_crash():
    """The names came of the last probe alone: what was loaded after it was forgotten."""
    admin, processes = Admin(["early", "late"]), []

    def start():
        processes.append(Process())
        return processes[-1]

    supervisor = Supervisor(start, ["early"], probe_period_s=600.0)
    supervisor._admin = lambda: admin
    stopped = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stopped,))
    thread.start()
    try:
        assert admin.looked.wait(30)
        admin.looked.clear()
        assert admin.looked.wait(30)  # the first look has ended
        supervisor.ready.clear()
        processes[0].exit_status = -9
        assert supervisor.ready.wait(30)
        assert admin.loaded == ["early", "early", "late"]
    finally:
        stopped.set()
        thread.join(30)
    assert not thread.is_alive()
