"""Lock on the state folder of a server."""

from __future__ import annotations

import pytest

from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.runtime.folder_lock import FolderLock


def test_a_second_server_is_refused_until_the_first_one_ends(tmp_path):
    folder = tmp_path / "new" / "folder"
    first = FolderLock(folder)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="--data-dir"):
            FolderLock(folder)
    first.release()
    first.release()
    FolderLock(folder).release()


def test_a_folder_that_cannot_be_written_to_is_reported(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    FolderLock(tmp_path / "file").release()
    assert "nothing outlives a restart" in caplog.text
