"""SAM's networks, built by the classes of the package ``segment-anything``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

from torch import nn

from sam6d_ros.errors import BackendUnavailable, install_extra
from sam6d_ros.models.sam_attention import replace_attention

MASKS_PER_PROMPT = 3
ALIAS = "sam6d_ros_segment_anything"


@lru_cache(maxsize=1)
def package() -> ModuleType:
    """Return the package's model classes, imported without its ``__init__``."""
    # That file imports torchvision for the predictor and the mask generator, which are not used
    # here. The package's folder is given a private name, under which its submodules (they import
    # one another relatively) load as they are; ``import segment_anything`` elsewhere is untouched.
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(
            f"the package segment-anything is not installed; {install_extra('sam6d')}"
        )
    alias = ModuleType(ALIAS)
    alias.__path__ = list(spec.submodule_search_locations)
    sys.modules[ALIAS] = alias
    return importlib.import_module(f"{ALIAS}.modeling")


@dataclass(frozen=True)
class SamShape:
    """Shape of SAM's image encoder; the rest of the network is always the same.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        global_blocks: blocks that attend to the whole image, the others to windows.
        image_size: side of the square input in pixels.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    image_size: int = 1024


SHAPES = {  # of the released checkpoints (segment_anything/build_sam.py)
    "vit_h": SamShape(1280, 32, 16, (7, 15, 23, 31)),
    "vit_l": SamShape(1024, 24, 16, (5, 11, 17, 23)),
    "vit_b": SamShape(768, 12, 12, (2, 5, 8, 11)),
}
PATCH = 16
PROMPT_WIDTH = 256


def build_sam(shape: SamShape) -> nn.Module:
    """An untrained SAM of this shape, with the keys of the released files."""
    modeling = package()
    grid = shape.image_size // PATCH
    sam = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=shape.image_size,
            patch_size=PATCH,
            embed_dim=shape.width,
            depth=shape.depth,
            num_heads=shape.heads,
            out_chans=PROMPT_WIDTH,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=shape.global_blocks,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=PROMPT_WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(shape.image_size, shape.image_size),
            mask_in_chans=16,
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=MASKS_PER_PROMPT,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=PROMPT_WIDTH, mlp_dim=2048, num_heads=8
            ),
            transformer_dim=PROMPT_WIDTH,
        ),
    )
    replace_attention(sam.image_encoder, importlib.import_module(f"{ALIAS}.modeling.image_encoder"))
    return sam.eval()


def reduced_parts(sam: Any) -> list[nn.Module]:
    """Return the parts of a SAM that run in reduced precision."""
    decoder = sam.mask_decoder
    return [sam.image_encoder, decoder.transformer, decoder.output_upscaling]
