import json
import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
import tiny_loop
from numba import types
from numba.core.caching import IndexDataCacheFile

from sam6d_ros.stages.kernels import ahead, loops, store
from sam6d_ros.stages.kernels.ahead import STAGES, compile_ahead
from sam6d_ros.stages.kernels.loops import Loop, parse_type, recorded, type_text


def run_python(code, *args, **variables):
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, env=env | variables, text=True, capture_output=True, check=True)
    return done.stdout


@pytest.fixture
def tiny(monkeypatch):
    """The tiny loop as the only one of the list; no helper process."""
    loop = Loop(("segment",), "tiny_loop:total", ("float64[1C]",), 1)
    monkeypatch.setattr(ahead, "recorded", lambda stages: [loop])
    monkeypatch.setattr(ahead, "_start_helper", lambda folder, stages: None)
    return loop


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "folder_in_use", lambda: tmp_path / "loops")
    return tmp_path / "loops"


@pytest.mark.parametrize(
    "text",
    [
        "float64",
        "boolean",
        "int64",
        "float32[2C]",
        "uint8[1A]",
        "float64[3Cr]",
        ["", "float64", "float32[1C]"],
        ["tiny_loop:Pair", "float64", "int64"],
        ["tiny_loop:Pair", "float64", "float64"],
    ],
)
def test_a_type_survives_its_text(text):
    assert type_text(parse_type(text)) == text


def test_an_argument_that_the_list_cannot_state_is_refused():
    with pytest.raises(ValueError, match="expected arrays and numbers"):
        type_text(types.unicode_type)


def test_every_recorded_loop_exists_and_has_a_known_stage():
    found = recorded(STAGES)
    assert found
    for loop in found:
        assert set(loop.stages) <= set(STAGES)
        assert [type_text(parse_type(text)) for text in loop.types] == list(loop.types)
        __import__(loop.function.split(":")[0])
    names = {loop.function for loop in found}
    assert names <= {name for name, _ in store.loaded_loops()}
    assert [loop.lines for loop in found] == sorted((x.lines for x in found), reverse=True)


RECORDED = """
import sys
from record_loops import list_text, record
if __name__ == "__main__":
    sys.stdout.write(list_text(record()))
"""


def without_lines(text):
    """Rows without the lines of source, which comments change as well."""
    return [row[:3] for row in json.loads(text)]


@pytest.mark.slow
def test_the_list_is_the_one_that_is_recorded(pytestconfig, tmp_path):
    """After a change of a loop: python scripts/record_loops.py."""
    script = tmp_path / "again.py"
    script.write_text(RECORDED)
    path = os.pathsep.join([str(pytestconfig.rootpath / "scripts"), str(pytestconfig.rootpath)])
    env = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=env, text=True, capture_output=True, check=True)
    assert without_lines(done.stdout) == without_lines(loops.LIST.read_text())


def test_loops_are_compiled_once(tiny, folder):
    first, second = [], []
    compile_ahead(["segment"], first.append)
    compile_ahead(["segment"], second.append)
    assert first == ["compiling loop 1 of 1 (first start only)"]
    assert second == []
    assert tiny_loop.total(np.ones(3)) == 3


def test_only_the_loops_of_new_stages_are_compiled(tiny, folder):
    compile_ahead(["segment"], lambda text: None)
    reported = []
    compile_ahead(["segment", "track"], reported.append)
    assert len(reported) == 1
    assert sorted(path.name.rpartition("-")[0] for path in folder.glob("done-*")) == [
        "done-segment",
        "done-track",
    ]


def test_equal_sources_at_another_place_are_compiled_with_progress(tiny, folder, monkeypatch):
    """numba has code for the files of the first installation only: the second one was silent."""
    compile_ahead(["segment"], lambda text: None)
    monkeypatch.setattr(store, "place", lambda: "elsewhere")
    reported = []
    compile_ahead(["segment"], reported.append)
    assert len(reported) == 1


def test_the_place_of_the_sources_has_path_and_time(tmp_path, monkeypatch):
    places = set()
    for name, time_ns in (("a", 1), ("a", 2), ("b", 2)):
        source = tmp_path / name / "stages" / "loops.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("njit")
        os.utime(source, ns=(time_ns, time_ns))
        monkeypatch.setattr(store, "PACKAGE", tmp_path / name)
        places.add(store.place())
    assert len(places) == 3


def test_without_a_folder_nothing_is_compiled_ahead(tiny, monkeypatch):
    monkeypatch.setattr(store, "folder_in_use", lambda: None)
    compile_ahead(["segment"], pytest.fail)


def test_a_loop_that_cannot_be_compiled_stops_no_start(folder, monkeypatch, tiny):
    bad = Loop(("segment",), "tiny_loop:absent", ("float64[1C]",), 1)
    monkeypatch.setattr(ahead, "recorded", lambda stages: [bad])
    compile_ahead(["segment"], lambda text: None)
    assert [*folder.glob("done-segment-*")]


def test_a_loop_that_another_process_compiles_is_waited_for(tmp_path, tiny):
    path = tmp_path / "tiny_loop.total.lock"
    with ahead._locked(path, wait=False) as mine:
        assert mine
        assert not ahead._compile(tmp_path, tiny, "1 of 1", lambda text: None, wait=False)
    assert ahead._compile(tmp_path, tiny, "1 of 1", lambda text: None, wait=True)


def test_the_folder_changes_with_any_source_of_a_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PACKAGE", tmp_path)
    source = tmp_path / "stages" / "a.py"
    source.parent.mkdir()
    source.write_text("@njit\ndef a(): pass\n")
    before = store.code_folder(tmp_path)
    (tmp_path / "stages" / "other.py").write_text("def b(): pass\n")
    assert store.code_folder(tmp_path) == before
    source.write_text("@njit\ndef a(): return 1\n")
    assert store.code_folder(tmp_path) != before


KEPT = """
import os
from sam6d_ros.apps.compiled_loops import keep_compiled_loops
keep_compiled_loops()
from sam6d_ros.stages.kernels import store
print(store.folder_in_use())
"""


@pytest.mark.parametrize("first", ["", "import sam6d_ros.stages.geometric.fit\n"])
def test_the_shells_keep_the_loops_in_the_users_cache(tmp_path, first):
    printed = run_python(first + KEPT, XDG_CACHE_HOME=str(tmp_path))
    assert printed.strip() == str(store.code_folder(tmp_path / "sam6d_ros"))


def test_a_folder_that_the_user_set_stays(tmp_path):
    assert run_python(KEPT, NUMBA_CACHE_DIR=str(tmp_path)).strip() == str(tmp_path)


def test_the_list_is_a_small_file():
    assert loops.LIST.stat().st_size < 20_000


def test_two_signatures_written_at_a_time_keep_their_own_code(tmp_path, monkeypatch):
    """One process has read the index, and the other one writes before it goes on."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    store.keep_in(tmp_path)
    files = [IndexDataCacheFile(str(tmp_path), "loop", "stamp") for _ in range(2)]
    other = threading.Thread(target=files[1].save, args=("float64", "code for float64"))
    write_index = files[0]._save_index

    def late(overloads):
        other.start()
        other.join(1.0)  # it waits for the lock
        write_index(overloads)

    monkeypatch.setattr(files[0], "_save_index", late)
    files[0].save("float32", "code for float32")
    other.join()
    for kind in ("float32", "float64"):
        assert files[0].load(kind) == f"code for {kind}"


def test_code_of_another_state_of_the_source_is_never_found(tmp_path, monkeypatch):
    """A process is ended between the index and the code, as by Ctrl-C."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    store.keep_in(tmp_path)
    IndexDataCacheFile(str(tmp_path), "loop[1]", "before").save("float32", "old code")
    files = IndexDataCacheFile(str(tmp_path), "loop[1]", "now")

    def end(name, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_save_data", end)
    with pytest.raises(KeyboardInterrupt):
        files.save("float32", "new code")
    assert files.load("float32") is None


def test_a_helper_ends_with_the_process_that_started_it(tmp_path):
    """Its loops take minutes; a node that is interrupted left it behind."""
    helper = ahead._start_helper(tmp_path, STAGES)
    if helper is None:
        pytest.skip("one core")
    helper.stdin.close()
    assert helper.wait(60) == 0
