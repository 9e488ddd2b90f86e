"""Finding and reading the files of a BOP-format folder, with errors that name the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sam6d_ros.errors import InvalidDataset

SPLITS = ("test", "val")


def find_split(root: Path) -> Path:
    """Find the folder with the test scenes: test, val, or one that starts so (test_primesense).

    Returns:
        The folder.

    Raises:
        InvalidDataset: there is none.
    """
    names = folders(root)
    for split in SPLITS:
        for name in [split, *(n for n in names if n.startswith(f"{split}_"))]:
            if name in names:
                return root / name
    raise InvalidDataset(
        f"{root} has no folder test/ or val/ with scenes; it has {names}. Is it in BOP format? "
        "Name another split by --split"
    )


def folders(path: Path) -> list[str]:
    """Names of the sub-folders, sorted."""
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


@dataclass(frozen=True)
class SceneFiles:
    """File names of one scene.

    Scenes of BOP-Industrial have the images of each sensor in folders of its own:
    ``rgb_realsense/``, ``depth_realsense/``, ``scene_camera_realsense.json`` and so on.

    Attributes:
        folder: of the scene.
        sensor: name of the sensor; empty for a scene without sensor names.
    """

    folder: Path
    sensor: str = ""

    def json(self, stem: str) -> Path:
        """Return the path of scene_camera, scene_gt or scene_gt_info."""
        return self._of_sensor(stem, ".json")

    def image(self, kinds: tuple[str, ...], im_id: int, suffixes: tuple[str, ...]) -> Path:
        """Return the path of an image.

        Raises:
            InvalidDataset: there is none.
        """
        names = [self._of_sensor(kind, "").name for kind in kinds]
        return image_file(self.folder, tuple(names), im_id, suffixes)

    def _of_sensor(self, stem: str, suffix: str) -> Path:
        """Return the sensor's path; the common one where only that exists."""
        common = self.folder / f"{stem}{suffix}"
        own = self.folder / f"{stem}_{self.sensor}{suffix}"
        return common if not self.sensor or (common.exists() and not own.exists()) else own


def choose_sensor(scene: Path, wanted: str | None) -> str:
    """Return the sensor to read in a scene: the wanted one, or the only one; empty without names.

    Raises:
        InvalidDataset: there is no such sensor, or several and none is wanted.
    """
    found = sensors(scene)
    if wanted:
        if wanted in found:
            return wanted
        raise InvalidDataset(f"{scene} has no sensor {wanted!r}; {_listed(found)}")
    if (scene / "scene_camera.json").is_file() and (scene / "depth").is_dir():
        return ""
    if len(found) > 1:
        raise InvalidDataset(f"{scene} has several sensors; {_listed(found)}; name one by --sensor")
    return found[0] if found else ""


def sensors(scene: Path) -> list[str]:
    """Return the names of the sensors whose camera or depth is in the scene's folder, sorted."""
    cameras = {
        path.stem.removeprefix("scene_camera_") for path in scene.glob("scene_camera_*.json")
    }
    depths = {name.removeprefix("depth_") for name in folders(scene) if name.startswith("depth_")}
    return sorted((cameras & depths) or cameras or depths)


def _listed(names: list[str]) -> str:
    return f"it has {', '.join(names)}" if names else "its files have no sensor in their names"


def image_file(
    scene: Path, folder_names: tuple[str, ...], im_id: int, suffixes: tuple[str, ...]
) -> Path:
    """Find the file of an image, whatever its extension and the padding of its number.

    Returns:
        The file.

    Raises:
        InvalidDataset: there is none.
    """
    for folder in folder_names:
        for stem in (f"{im_id:06d}", str(im_id), f"{im_id:04d}"):
            for suffix in suffixes:
                path = scene / folder / f"{stem}{suffix}"
                if path.is_file():
                    return path
    wanted = " or ".join(f"{folder}/{im_id:06d}{suffixes[0]}" for folder in folder_names)
    raise InvalidDataset(f"{scene} has no image {wanted} (nor with {', '.join(suffixes[1:])})")


@lru_cache(maxsize=32)
def read_json(path: Path) -> dict[int, Any]:
    """Read a JSON file whose keys are numbers (image or object ids).

    Returns:
        The entries by number.

    Raises:
        InvalidDataset: missing, damaged, or of another layout.
    """
    data = load_json(path)
    try:
        return {int(key): value for key, value in data.items()}
    except (AttributeError, ValueError) as error:
        raise InvalidDataset(f"{path} does not map numbers to entries: {error}") from error


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """Read a JSON list.

    Returns:
        The list.

    Raises:
        InvalidDataset: missing, damaged, or no list.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise InvalidDataset(f"{path} holds a {type(data).__name__}; expected a list of targets")
    return data


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Returns:
        The content.

    Raises:
        InvalidDataset: missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InvalidDataset(f"{path} does not exist") from error
    except OSError as error:
        raise InvalidDataset(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise InvalidDataset(f"{path} is no JSON: {error}") from error


def pick(entries: dict[int, Any], im_id: int, path: Path) -> Any:
    """Pick the entry of an image.

    Returns:
        The entry.

    Raises:
        InvalidDataset: the file has none.
    """
    if im_id not in entries:
        raise InvalidDataset(f"{path} has no image {im_id}; it has {sorted(entries)[:8]} …")
    return entries[im_id]
