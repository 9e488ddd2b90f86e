"""Names of the classes of detectors.

The COCO names are those of torchvision's `_COCO_CATEGORIES`: 91 places, of which the first is the
background and ten are not in use (Lin et al., 2014).
"""

from __future__ import annotations

from pathlib import Path

from sam6d_ros.errors import InvalidConfig

BACKGROUND, UNUSED = "__background__", "N/A"

_COCO_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,"
    "bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO_80 = tuple(_COCO_NAMES.split(","))
# numbers of the COCO data set that no class uses
COCO_GAPS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


def _with_gaps() -> tuple[str, ...]:
    names = iter(COCO_80)
    return (BACKGROUND, *(UNUSED if n in COCO_GAPS else next(names) for n in range(1, 91)))


COCO_91 = _with_gaps()
LABEL_SETS = {"coco80": COCO_80, "coco91": COCO_91}


def read_labels(source: str | Path) -> tuple[str, ...]:
    """Return the names of a label set, or of a text file with one name a line.

    Args:
        source: `coco80`, `coco91` or a path.

    Raises:
        InvalidConfig: no such set or file, or a file without names.
    """
    known = LABEL_SETS.get(str(source))
    if known:
        return known
    try:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            f"no labels in '{source}' ({error}); give a text file with one name a line, "
            f"or one of {', '.join(LABEL_SETS)}"
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InvalidConfig(f"'{source}' holds no label; expected one name a line")
    return tuple(line.strip() for line in lines)


def usable(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a detection can have: without background and unused places."""
    return tuple(name for name in labels if name not in (BACKGROUND, UNUSED, ""))
