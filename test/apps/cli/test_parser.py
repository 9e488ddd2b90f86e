"""Errors of the command line that name what was meant; the help lists each command once."""

from __future__ import annotations

import re

import pytest

from sam6d_ros.apps.cli.main import build_parser


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("estmate --cad a.ply", "; did you mean 'estimate'?"),
        ("serve al", "; did you mean 'all'?"),
        ("estimate --cad a.ply --cad-unit mn", "; did you mean"),
        ("estimate --cad a.ply B.STL", "; state --cad once for each file: --cad B.STL"),
    ],
)
def test_an_error_names_what_was_meant(capsys, words, remedy):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(words.split())
    assert end.value.code == 2
    assert remedy in capsys.readouterr().err


@pytest.mark.parametrize("words", ["frobnicate", "estimate --cad a.ply surplus"])
def test_an_error_that_resembles_nothing_has_no_remedy(capsys, words):
    with pytest.raises(SystemExit):
        build_parser().parse_args(words.split())
    assert ";" not in capsys.readouterr().err.splitlines()[-1]


def test_the_help_lists_each_command_once():
    text = build_parser().format_help()
    for name in ("estimate", "eval", "onboard", "serve", "completion"):
        assert len(re.findall(rf"^ +(?:sam6d )?{name}\b", text, re.MULTILINE)) == 1
