"""Image descriptors by DINOv2 ViT-L/14 (Oquab et al. 2023), from the official weights file."""

from __future__ import annotations

from torch import Tensor, nn

from sam6d_ros.models.vit import VisionTransformer, VitConfig

VIT_LARGE = VitConfig(
    width=1024, depth=24, heads=16, patch=14, grid=37, layer_scale=True, mask_token=True
)


class DinoV2(nn.Module):
    """Class and patch descriptors of square crops; ``vit`` has the keys of the official file."""

    def __init__(self, config: VitConfig = VIT_LARGE) -> None:
        super().__init__()
        self.vit = VisionTransformer(config)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return class tokens (B, C) and patch tokens (B, patches, C), float32, after the final
        norm.

        Args:
            images: (B, 3, 224, 224) float32, RGB, already normalised as the recipe wants it.
        """
        tokens = self.vit(images)[0].float()
        return tokens[:, 0], tokens[:, 1:]
