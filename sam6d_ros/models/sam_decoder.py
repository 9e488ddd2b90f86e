"""SAM's mask decoder for many prompts of one image, with the work that they share done once.

The image tokens are the same for all prompts until the first attention from image to tokens. With 7
prompt tokens and 8 heads a projection of the image side (4096 × 256 × 128) costs more than the same
projection folded into the few tokens (4096 × 256 × 56). Masks are upscaled only for prompts whose
predicted quality passes: the quality needs no upscaling. Equal to the package's decoder up to
rounding (6e-7 of the largest logit).

In reduced precision the products with image tokens and the upscaling run in it. Sums, norms, the
predicted quality and the last product, whose sign is the mask, stay in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sam6d_ros.models.device import encoding

# segment_anything/modeling/mask_decoder.py, forward: three masks for a point, which is ambiguous;
# for a box the first token's alone, as the authors call it (multimask_output=False).
OF_POINTS = (1, 2, 3)
OF_BOXES = (0,)


@dataclass(frozen=True)
class Decoded:
    """B prompts before their masks are made.

    Attributes:
        queries: (B, 7, C) prompt tokens.
        keys: (B, N, C) image tokens, in the reduced type if there is one.
        quality: (B, K) predicted IoU of the masks.
        outputs: numbers of the K mask tokens.
    """

    queries: Tensor
    keys: Tensor
    quality: Tensor
    outputs: tuple[int, ...]

    def first(self, count: int) -> Decoded:
        """Return some prompts, from the first one on."""
        values = self.queries[:count], self.keys[:count], self.quality[:count]
        return Decoded(*values, self.outputs)


class SharedDecoder:
    """Decoder of one image.

    Args:
        sam: network of the package segment-anything.
        features: (1, 256, h, w) of the image encoder.
        dtype: reduced type, None for float32.
    """

    def __init__(self, sam: Any, features: Tensor, dtype: torch.dtype | None = None) -> None:
        self._dtype, self._reduced = dtype, partial(encoding, dtype, features.device)
        self._prompt, self._net = sam.prompt_encoder, sam.mask_decoder
        self._layers = self._net.transformer.layers
        self._hw = features.shape[-2:]
        dense = self._prompt.no_mask_embed.weight.reshape(1, -1, 1, 1)
        self._keys = (features + dense).flatten(2).transpose(1, 2)  # (1, N, C)
        self._place = self._prompt.get_dense_pe().flatten(2).transpose(1, 2)
        posed, first = self._keys + self._place, self._layers[0]
        across = first.cross_attn_token_to_image
        with self._reduced():
            self._k0, self._v0 = across.k_proj(posed), across.v_proj(self._keys)
            self._q0 = first.cross_attn_image_to_token.q_proj(posed)

    def attend(self, prompts: Tensor) -> Decoded:
        """Return tokens and predicted qualities of the masks of some prompts.

        Args:
            prompts: in input pixels, (B, 2) points or (B, 4) boxes by their first and last pixels.
        """
        boxes = prompts.shape[1] == 4
        tokens = self._tokens([self._corners(prompts)] if boxes else self._points(prompts))
        last = self._net.transformer.final_attn_token_to_image
        with self._reduced():
            queries, keys = self._layer(0, tokens, tokens, self._keys)
            queries, keys = self._layer(1, queries, tokens, keys)
            queries = queries + self._to_image(last, queries + tokens, keys)
        keys = keys if self._dtype is None else keys.to(self._dtype)  # as the upscaling takes them
        queries = self._net.transformer.norm_final_attn(queries)
        outputs = OF_BOXES if boxes else OF_POINTS
        quality = self._net.iou_prediction_head(queries[:, 0])[:, outputs[0] : outputs[-1] + 1]
        return Decoded(queries, keys, quality, outputs)

    def masks(self, decoded: Decoded, prompts: Tensor, chosen: Tensor) -> Tensor:
        """Return low-resolution logits (M, 4h, 4w).

        Args:
            decoded: of :meth:`attend`.
            prompts: (K,) numbers of prompts in it that have a chosen mask.
            chosen: (M,) masks, each as place in ``prompts`` times K plus number of the mask.
        """
        maps = self._upscale(decoded.keys[prompts].transpose(1, 2).unflatten(2, self._hw))
        heads, queries = self._net.output_hypernetworks_mlps, decoded.queries[prompts]
        weights = torch.stack([heads[i](queries[:, 1 + i]) for i in decoded.outputs], dim=1)
        logits = (weights @ maps.flatten(2)).unflatten(2, maps.shape[-2:])
        return logits.flatten(0, 1)[chosen]

    def _upscale(self, maps: Tensor) -> Tensor:
        """Return maps (B, 32, 4h, 4w) of image tokens (B, C, h, w)."""
        first, *between, second, last = self._net.output_upscaling
        with self._reduced():
            maps = first(maps)
        maps = maps.float()
        for layer in between:  # norm and activation
            maps = layer(maps)
        with self._reduced():
            maps = second(maps)
        upscaled: Tensor = last(maps.float())
        return upscaled

    def _tokens(self, prompts: list[Tensor]) -> Tensor:
        """Return (B, 7, C): output tokens and the two embeddings of each prompt."""
        out = torch.cat([self._net.iou_token.weight, self._net.mask_tokens.weight])
        return torch.cat([out.expand(len(prompts[0]), -1, -1), *prompts], dim=1)

    def _points(self, points: Tensor) -> list[Tensor]:
        """Return two tensors (B, 1, C): the points, the padding."""
        embedded = self._embed(points[:, None]) + self._prompt.point_embeddings[1].weight
        return [embedded, self._prompt.not_a_point_embed.weight.expand(len(points), -1, -1)]

    def _corners(self, boxes: Tensor) -> Tensor:
        """Return (B, 2, C): upper left and lower right corners, without padding."""
        # segment_anything/modeling/prompt_encoder.py, _embed_boxes
        kinds = [self._prompt.point_embeddings[kind].weight for kind in (2, 3)]
        return self._embed(boxes.unflatten(1, (2, 2))) + torch.cat(kinds)

    def _embed(self, pixels: Tensor) -> Tensor:
        """Return the positions (B, N, C) of the centres of (B, N, 2) pixels."""
        size = self._prompt.input_image_size
        embedded: Tensor = self._prompt.pe_layer.forward_with_coords(pixels + 0.5, size)
        return embedded

    def _layer(
        self, number: int, queries: Tensor, place: Tensor, keys: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return updated prompt tokens (B, T, C) and image tokens (B, N, C)."""
        layer, first = self._layers[number], number == 0
        if first:
            queries = layer.self_attn(q=queries, k=queries, v=queries).float()
        else:
            posed = queries + place
            queries = queries + layer.self_attn(q=posed, k=posed, v=queries)
        queries = layer.norm1(queries)
        across = layer.cross_attn_token_to_image
        attend = self._to_shared_image if first else self._to_image
        queries = layer.norm2(queries + attend(across, queries + place, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        back = self._to_tokens(
            layer.cross_attn_image_to_token, None if first else keys, queries + place, queries
        )
        return queries, layer.norm4(keys + back)

    def _to_shared_image(self, attention: Any, tokens: Tensor, keys: Tensor) -> Tensor:
        """Attend from tokens to the image tokens that all prompts share."""
        heads, count = attention.num_heads, len(tokens)
        query = _heads(attention.q_proj(tokens), heads)
        key, value = (_heads(t, heads).expand(count, -1, -1, -1) for t in (self._k0, self._v0))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))

    def _to_image(self, attention: Any, tokens: Tensor, keys: Tensor) -> Tensor:
        """Attend from tokens to image tokens, projections of the image moved to the tokens.

        The key's bias shifts a whole row of the softmax and drops out; rows sum to one, so that the
        value's bias is added once.

        Returns:
            (B, tokens, C).
        """
        heads = attention.num_heads
        query = _heads(attention.q_proj(tokens), heads)  # (B, H, T, d)
        weight = attention.k_proj.weight.unflatten(0, (heads, -1))  # (H, d, C)
        folded = (query @ weight).flatten(1, 2) / query.shape[-1] ** 0.5  # (B, H·T, C)
        score = folded @ keys.transpose(1, 2) + folded @ self._place.transpose(1, 2)
        mixed = (score.softmax(-1) @ keys).unflatten(1, (heads, -1))  # (B, H, T, C)
        weight = attention.v_proj.weight.unflatten(0, (heads, -1))
        out = (mixed @ weight.transpose(1, 2)).transpose(1, 2).flatten(2) + attention.v_proj.bias
        return attention.out_proj(out)

    def _to_tokens(
        self, attention: Any, keys: Tensor | None, posed: Tensor, tokens: Tensor
    ) -> Tensor:
        """Attend from image tokens (None: the shared ones) to the few tokens."""
        heads = attention.num_heads
        key = _heads(attention.k_proj(posed), heads)  # (B, H, T, d)
        value = _heads(attention.v_proj(tokens), heads)
        key = key * key.shape[-1] ** -0.5
        if keys is None:
            score = (_heads(self._q0, heads) @ key.transpose(-1, -2)).permute(0, 2, 1, 3)
        else:
            weight = attention.q_proj.weight.unflatten(0, (heads, -1))  # (H, d, C)
            bias = key @ attention.q_proj.bias.unflatten(0, (heads, -1))[..., None]  # (B, H, T, 1)
            flat = (key @ weight).flatten(1, 2).transpose(1, 2)  # (B, C, H·T)
            score = keys @ flat + self._place @ flat + bias.flatten(1)[:, None]
            score = score.unflatten(-1, (heads, -1))
        weight = attention.out_proj.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)  # (H, d, C)
        values = (value @ weight).flatten(1, 2)  # (B, H·T, C)
        return score.softmax(-1).flatten(2) @ values + attention.out_proj.bias


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
