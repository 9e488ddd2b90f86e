"""The reliability table over the results of several data sets."""

import json

from benchmarks import reliability


def written(path, answers):
    found = [{"name": "can", "score": score, "right": right} for score, right in answers]
    path.write_text(json.dumps({"images": [{"answers": found}]}))
    return path


def test_answers_of_all_files_are_counted_together(tmp_path, capsys):
    first = written(tmp_path / "a.json", [(0.95, True), (0.92, True), (0.15, False)])
    second = written(tmp_path / "b.json", [(0.91, False)])
    image = tmp_path / "r.png"
    assert reliability.main([str(first), str(second), "--out", str(image)]) == 0
    out = capsys.readouterr().out
    assert "| 0.9 … 1.0 | 3 | 0.93 | 0.67 [0.21, 0.94] |" in out
    assert "over 4 poses" in out
    assert image.stat().st_size > 0
