"""Sets of objects: equality by content, differences, and changes that are whole or not at all."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host_double import EngineDouble

from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.errors import InvalidMesh, UnknownName
from sam6d_ros.runtime import objects
from sam6d_ros.runtime.objects import (
    ObjectChange,
    ObjectSet,
    WantedObject,
    apply_change,
    difference,
)
from sam6d_ros.runtime.warmup import box_model

BOX = box_model()
NO_SETTINGS, STRICT = ObjectSettings(), ObjectSettings(min_score=0.9)
NAMES = ("mug", "can", "bolt", "box")


def model(name, content="1"):
    return replace(BOX, name=name, content_hash=content)


def entry(name, content="1", settings=NO_SETTINGS):
    return ObjectEntry(name, Path(f"/{content}.ply"), settings=settings)


def a_set(contents):
    """Set of objects: name → (content hash, settings)."""
    return ObjectSet(
        {name: model(name, content) for name, (content, _) in contents.items()},
        {name: entry(name, content, settings) for name, (content, settings) in contents.items()},
        {name: settings for name, (_, settings) in contents.items()},
    )


def wanted(contents):
    return [WantedObject(n, c, entry(n, c, settings)) for n, (c, settings) in contents.items()]


@pytest.fixture(autouse=True)
def onboarding(monkeypatch):
    """Onboard an entry without its mesh: the file's name is the content."""

    def load(stated, cache_dir):
        if stated.mesh.stem == "broken":
            raise InvalidMesh(f"{stated.name} is broken")
        return model(stated.name, stated.mesh.stem)

    monkeypatch.setattr(objects, "load_entry", load)


CONTENTS = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.sampled_from("12"), st.sampled_from([NO_SETTINGS, STRICT]))
)


def test_sets_are_equal_if_their_contents_are():
    one = a_set({"mug": ("1", NO_SETTINGS), "can": ("2", NO_SETTINGS)})
    assert one == a_set({"mug": ("1", NO_SETTINGS), "can": ("2", NO_SETTINGS)})
    assert hash(one) == hash(a_set({"mug": ("1", NO_SETTINGS), "can": ("2", NO_SETTINGS)}))
    assert one != a_set({"mug": ("1", NO_SETTINGS), "can": ("1", NO_SETTINGS)})
    assert one != a_set({"mug": ("1", NO_SETTINGS), "can": ("2", STRICT)})
    assert one != a_set({"mug": ("1", NO_SETTINGS)})
    assert one != "mug"


def test_a_set_does_not_change_with_what_it_was_made_of():
    models = {"mug": model("mug")}
    made = ObjectSet(models, {"mug": entry("mug"), "gone": entry("gone")})
    models.clear()
    assert [*made.models] == [*made.entries] == ["mug"]
    with pytest.raises(TypeError):
        made.models["can"] = model("can")


@given(CONTENTS, CONTENTS)
def test_the_difference_leads_to_the_wanted_objects(before, after):
    engine = EngineDouble()
    begin = a_set(before)
    engine.take_objects(begin.models, begin.entries, begin.settings)
    changes = difference(ObjectSet.of(engine), wanted(after))
    kept = {
        name: engine.objects[name]
        for name, (content, _) in before.items()
        if name in after and after[name][0] == content
    }
    whole = EngineDouble()
    whole.take_objects(begin.models, begin.entries, begin.settings)
    apply_change(whole, ObjectChange.together(changes))
    for change in changes:
        apply_change(engine, change)
    assert ObjectSet.of(engine).contents == ObjectSet.of(whole).contents == after
    assert {name: stated.settings for name, stated in engine.entries.items()} == {
        name: settings for name, (_, settings) in after.items()
    }
    assert all(engine.objects[name] is kept[name] for name in kept)
    assert difference(ObjectSet.of(engine), wanted(after)) == ()


def test_an_unusable_mesh_keeps_only_its_own_object_out():
    engine = EngineDouble()
    listed = wanted({"a": ("broken", NO_SETTINGS), "b": ("1", NO_SETTINGS)})
    for change in difference(ObjectSet.of(engine), listed):
        with suppress(InvalidMesh):
            apply_change(engine, change)
    assert [*engine.objects] == ["b"]


def test_an_object_without_an_entry_is_kept_if_it_is_here_and_left_out_if_not():
    engine = EngineDouble()
    engine.take_objects({"mug": model("mug")}, {}, {"mug": NO_SETTINGS})
    listed = [WantedObject("mug", "1", None), WantedObject("can", "1", None)]
    assert difference(ObjectSet.of(engine), listed) == ()
    (change,) = difference(ObjectSet.of(engine), [WantedObject("mug", "2", None)])
    assert apply_change(engine, change) == ObjectSet()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (ObjectChange(put=(entry("can"),), remove=("absent",)), UnknownName),
        (ObjectChange(put=(entry("can"),), settings={"absent": STRICT}), UnknownName),
        (ObjectChange(remove=("mug",), settings={"mug": STRICT}), UnknownName),
        (ObjectChange(replace_all=True, settings={"mug": STRICT}), UnknownName),
        (ObjectChange.add(entry("can"), entry("bolt", "broken")), InvalidMesh),
        (ObjectChange.only([entry("can"), entry("bolt", "broken")]), InvalidMesh),
    ],
)
def test_a_change_that_fails_changes_nothing(change, error):
    engine = EngineDouble()
    before = apply_change(engine, ObjectChange.add(entry("mug")))
    with pytest.raises(error):
        apply_change(engine, change)
    assert ObjectSet.of(engine) == before


def test_changes_add_replace_and_remove():
    engine = EngineDouble()
    apply_change(engine, ObjectChange.add(entry("mug"), model("can")))
    assert [*engine.entries] == ["mug"]
    apply_change(engine, ObjectChange.add(model("mug", "2")))
    assert engine.objects["mug"].content_hash == "2"
    assert [*engine.entries] == []
    apply_change(engine, ObjectChange.drop("mug"))
    assert [*engine.objects] == ["can"]
    apply_change(engine, ObjectChange.only([entry("bolt")]))
    assert [*engine.objects] == ["bolt"]


def test_a_change_of_settings_keeps_the_model_and_reaches_the_entry():
    engine = EngineDouble()
    apply_change(engine, ObjectChange.add(entry("mug")))
    before = engine.objects["mug"]
    apply_change(engine, ObjectChange(settings={"mug": STRICT}))
    assert engine.objects["mug"] is before
    assert engine.settings["mug"] == engine.entries["mug"].settings == STRICT
    assert "min_score: 0.9" in engine.entries["mug"].options


@pytest.mark.parametrize(
    "change", [ObjectChange.drop("mug"), ObjectChange.only([model("can")]), ObjectChange()]
)
def test_an_object_without_settings_has_the_default_ones_in_a_change(change):
    engine = EngineDouble()
    engine.take_objects({"mug": model("mug"), "can": model("can")}, {}, {})
    after = apply_change(engine, change)
    assert [*after.models] == (["mug", "can"] if change == ObjectChange() else ["can"])
    assert engine.settings == dict.fromkeys(after.models, NO_SETTINGS)


def test_an_object_that_is_removed_twice_is_removed():
    engine = EngineDouble()
    apply_change(engine, ObjectChange.add(entry("mug")))
    twice = ObjectChange.together([ObjectChange.drop("mug"), ObjectChange.drop("mug")])
    assert apply_change(engine, twice) == ObjectSet()


def test_settings_of_an_object_that_the_change_adds_are_taken():
    engine = EngineDouble()
    apply_change(engine, ObjectChange(put=(entry("mug"),), settings={"mug": STRICT}))
    assert engine.settings["mug"] == engine.entries["mug"].settings == STRICT


def test_a_change_is_checked_before_a_mesh_is_read(monkeypatch):
    monkeypatch.setattr(objects, "load_entry", lambda *_: pytest.fail("a mesh was read"))
    with pytest.raises(UnknownName):
        apply_change(EngineDouble(), ObjectChange(put=(entry("can"),), remove=("absent",)))
