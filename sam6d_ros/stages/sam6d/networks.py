"""The three networks, loaded once and shared by the stages of one process."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sam6d_ros.errors import CheckpointError
from sam6d_ros.models import weights
from sam6d_ros.models.checkpoints import load_checkpoint
from sam6d_ros.models.device import encoder_dtype, resolve_device
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.pem import PoseEstimationModel
from sam6d_ros.models.reduced import compile_blocks, hold_weights
from sam6d_ros.models.sam import SamSegmenter
from sam6d_ros.models.sam_network import SHAPES, build_sam, reduced_parts
from sam6d_ros.stages.sam6d.settings import Sam6dConfig

_LOG = logging.getLogger(__name__)
_FINGERPRINT_BYTES = 1 << 16


@dataclass(frozen=True)
class Networks:
    """Loads each network on first use.

    Attributes:
        folder: folder of the released weights.
        config: how they are run.
        device_name: "auto", "cpu" or "cuda[:N]".
    """

    folder: Path
    config: Sam6dConfig
    device_name: str = "auto"

    @cached_property
    def device(self) -> torch.device:
        """Device on which the networks run."""
        return resolve_device(self.device_name)

    @cached_property
    def dtype(self) -> torch.dtype | None:
        """Reduced type of the image encoders and SAM's decoder, None for float32."""
        return encoder_dtype(self.config.precision, self.device)

    @cached_property
    def sam(self) -> SamSegmenter:
        """Proposals."""
        sam: Any = self._load(build_sam(SHAPES[self.config.sam_variant]), "sam")
        self._make_ready(reduced_parts(sam), sam.image_encoder.blocks)
        return SamSegmenter(sam, self.config, self.dtype)

    @cached_property
    def dino(self) -> DinoV2:
        """Descriptors."""
        network = DinoV2()
        self._load(network.vit, "dinov2")
        self._make_ready([network.vit], network.vit.blocks)
        return network.eval()

    @cached_property
    def pem(self) -> PoseEstimationModel:
        """Poses."""
        network = PoseEstimationModel()
        self._load(network, "pem")
        encoder = network.feature_extraction.rgb_net
        self._make_ready([encoder], encoder.vit.blocks)
        return network

    def fingerprint(self, role: str) -> str:
        """Return a short hash of a weights file, for cache keys.

        Args:
            role: of the network, such as "pem".

        Returns:
            16 hexadecimal digits, of size, beginning and middle of the file.

        Raises:
            CheckpointError: the file is missing.
        """
        path = weights.locate(self.folder, self._file(role))
        if not path.is_file():
            raise CheckpointError(f"{path} does not exist; run `sam6d weights fetch`")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_FINGERPRINT_BYTES)
            file.seek(max(0, size // 2))
            middle = file.read(_FINGERPRINT_BYTES)
        return weights.hash_bytes(head, middle, str(size).encode())[:16]

    def _file(self, role: str) -> weights.WeightsFile:
        needed = weights.required(self.config.sam_variant)
        return next(f for f in needed if f.role == role)

    def _load(self, network: nn.Module, role: str) -> nn.Module:
        path = weights.check_once(self.folder, self._file(role))
        _LOG.info("loading %s on %s", path, self.device)
        return load_checkpoint(network, path, self.device)

    def _make_ready(self, parts: Sequence[nn.Module], blocks: Iterable[nn.Module]) -> None:
        for part in parts:
            hold_weights(part, self.dtype)
        if self.config.compile:
            compile_blocks(blocks)
