"""The table of backends: choice, entry points of other packages, and their faults."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from support.backend_double import BackendDouble

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, InvalidConfig, InvariantError
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.stages import backends
from sam6d_ros.stages.backends import (
    Backend,
    backend_names,
    check_name,
    choose_backend,
    find_backend,
)
from sam6d_ros.stages.geometric.backend import GeometricBackend

WEIGHTS = ("sam_vit_b_01ec64.pth", "dinov2_vitl14_pretrain.pth", "sam-6d-pem-base.pth")


class Ranked(GeometricBackend):
    """A backend of another package that goes before the built-in ones."""

    name = "ranked"
    auto_rank = 1
    trouble = ""

    def obstacle(self, config):
        return self.trouble


class Odd(Ranked):
    name = "another"


class Raising(Ranked):
    name = "raising"

    def obstacle(self, config):
        raise RuntimeError("no driver")


RANKED, ODD, CLASS, NO_BACKEND_AT_ALL = Ranked(), Odd(), Ranked, object()
RAISING = Raising()


@pytest.fixture
def installed(monkeypatch):
    """Installs entry points: name → attribute of this module, or module:attribute."""

    def install(**values):
        found = []
        for name, value in values.items():
            where = value if ":" in value else f"{__name__}:{value}"
            point = EntryPoint(name.rstrip("_"), where, backends.GROUP)
            dist = SimpleNamespace(name=f"{name}-package")
            vars(point)["dist"] = dist
            found.append(point)
        monkeypatch.setattr(backends, "entry_points", lambda group: found)

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    return install


def _this_module():
    return SimpleNamespace(**globals())


def test_the_built_in_backends_are_there_by_name():
    assert backend_names()[:2] == ("geometric", "sam6d")
    assert [find_backend(name).name for name in backends.BUILT_IN] == ["geometric", "sam6d"]


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(InvalidConfig, match="'magic'; expected one of auto, geometric, sam6d"):
        choose_backend(PipelineConfig("magic"))
    for name in ("auto", "geometric", "sam6d"):
        check_name(name)
    with pytest.raises(InvalidConfig, match="'magic'; expected one of auto, geometric, sam6d"):
        check_name("magic")


def test_auto_takes_sam6d_when_it_can_run_and_says_why_not_otherwise(tmp_path, caplog):
    pytest.importorskip("torch", reason="sam6d needs torch: make setup-sam6d")
    caplog.set_level(logging.INFO)
    assert choose_backend(PipelineConfig()).name == "geometric"
    assert "sam6d cannot run: no weights folder" in caplog.text
    assert choose_backend(PipelineConfig(weights_dir=tmp_path)).name == "geometric"
    assert "lacks sam_vit_h_4b8939.pth" in caplog.text
    with pytest.raises(BackendUnavailable, match="weights fetch"):
        choose_backend(PipelineConfig("sam6d", weights_dir=tmp_path))
    for file in WEIGHTS:
        (tmp_path / file).touch()
    options = "sam_variant=vit_b"
    assert choose_backend(PipelineConfig("auto", options, weights_dir=tmp_path)).name == "sam6d"


def test_options_are_for_one_backend():
    with pytest.raises(InvalidConfig, match="geometric has none"):
        choose_backend(PipelineConfig("geometric", "views=3"))
    with pytest.raises(InvalidConfig, match="views"):
        choose_backend(PipelineConfig("sam6d", "views=none"))
    with pytest.raises(BackendUnavailable, match=r"sam6d cannot run.*geometric has none"):
        choose_backend(PipelineConfig("auto", "views=3"))


def test_an_engine_states_what_was_built_whatever_the_disk_says_later(tmp_path):
    engine = build_engine(EngineSpec(PipelineConfig(weights_dir=tmp_path), role="pose"))
    for file in (*WEIGHTS, "sam_vit_h_4b8939.pth"):
        (tmp_path / file).touch()
    assert (engine.backend, engine.device) == ("geometric", "cpu")
    assert build_engine(EngineSpec(role="objects")).backend == "none"


def test_a_backend_of_another_package_is_found_and_takes_part_in_auto(installed, monkeypatch):
    installed(ranked="RANKED")
    assert backend_names() == ("geometric", "sam6d", "ranked")
    assert find_backend("ranked") is RANKED
    assert choose_backend(PipelineConfig()) is RANKED
    monkeypatch.setattr(RANKED, "trouble", "no licence", raising=False)
    assert choose_backend(PipelineConfig()).name == "geometric"
    with pytest.raises(BackendUnavailable, match="the ranked backend cannot run: no licence"):
        choose_backend(PipelineConfig("ranked"))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("no_such_module_anywhere:BACKEND", "cannot be loaded: ModuleNotFoundError"),
        ("NO_SUCH_NAME", "cannot be loaded: AttributeError"),
        ("NO_BACKEND_AT_ALL", "is a object, not an instance"),
        ("CLASS", "is a ABCMeta, not an instance"),
        ("ODD", "is called 'another' by itself"),
    ],
)
def test_a_broken_backend_is_reported_by_name_and_harms_no_other(
    installed, caplog, value, complaint
):
    installed(broken=value, ranked="RANKED")
    with pytest.raises(BackendUnavailable) as error:
        choose_backend(PipelineConfig("broken"))
    assert str(error.value).startswith("the backend broken of the package broken-package")
    assert complaint in str(error.value)
    assert choose_backend(PipelineConfig("geometric")).name == "geometric"
    assert choose_backend(PipelineConfig()) is RANKED
    assert complaint in caplog.text


@pytest.mark.parametrize("name", ["geometric", "sam6d", "auto", "none"])
def test_a_name_of_this_package_cannot_be_taken(installed, caplog, name):
    installed(**{name: "RANKED"})
    assert backend_names() == ("geometric", "sam6d")
    assert f"the backend {name} of the package {name}-package is ignored" in caplog.text
    assert choose_backend(PipelineConfig("geometric")) is not RANKED


def test_two_packages_with_one_name_are_both_named(installed):
    installed(ranked="RANKED", ranked_="ODD")
    with pytest.raises(BackendUnavailable, match="ranked-package and ranked_-package both"):
        find_backend("ranked")
    assert choose_backend(PipelineConfig()).name == "geometric"


def test_the_threshold_that_nobody_states_is_the_backends():
    class Strict(BackendDouble):
        def pose(self, context):
            return backends.PoseStages(self.estimator, self.refiner, default_min_score=0.7)

    stages = Strict(*[SimpleNamespace(prepare=lambda model: None)] * 4)
    with pytest.MonkeyPatch.context() as patch:
        from sam6d_ros.runtime import build

        patch.setattr(build, "choose_backend", stages.choose)
        patch.setattr(build.Engine, "warm_up", lambda self, report: None)
        engines = [build_engine(EngineSpec(PipelineConfig(min_score=s))) for s in (None, 0.1)]
    assert [engine.acceptance.min_score for engine in engines] == [0.7, 0.1]


@pytest.mark.parametrize("threshold", [1.4, -0.1, float("nan")])
def test_a_threshold_out_of_range_is_a_defect_of_the_backend(threshold):
    with pytest.raises(InvariantError, match=f"default_min_score of the backend is {threshold}"):
        backends.PoseStages(None, None, threshold)


def test_a_backend_without_its_stages_cannot_be_made():
    class Half(Backend):
        name = "half"

        def segmentation(self, context):
            raise NotImplementedError

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_the_table_imports_no_backend_before_one_is_asked_for():
    code = (
        "import sys, sam6d_ros.stages.backends as table; table.backend_names();"
        "found = [m for m in sys.modules if m.startswith(('sam6d_ros.stages.geo',"
        " 'sam6d_ros.stages.sam6d', 'torch', 'numba'))]; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_backend_that_breaks_when_it_is_asked_keeps_auto_from_no_other(installed, caplog):
    installed(raising="RAISING")
    with caplog.at_level("INFO"):
        assert choose_backend(PipelineConfig()).name == "geometric"
    assert "raising cannot run: RuntimeError: no driver" in caplog.text
