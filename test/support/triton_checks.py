"""Checks of the Triton kernels without a GPU; run by name in a process of their own.

``interpreted`` runs the kernels on the CPU (the interpreter must be chosen, by TRITON_INTERPRET=1,
before triton is imported). ``compiled`` makes machine code for GPUs that are not here.
"""

from __future__ import annotations

import re
import sys

import torch

from sam6d_ros.models import point_ops
from sam6d_ros.models import point_ops_triton as kernels

CAPABILITIES = (75, 80, 87, 89, 90, 100)
FUSED = re.compile(r"\bfma\.rn")


def interpreted() -> None:
    """Small clouds, of sizes that are no powers of two, in batches, full of ties."""
    kernels.SAMPLE_TILE, kernels.SEARCH_TILE = 64, 16  # small clouds then take several tiles
    random = torch.Generator().manual_seed(0)
    for total, batch, count in ((1, 1, 3), (5, 1, 7), (64, 2, 10), (300, 3, 20)):
        points = torch.randint(0, 4, (batch, total, 3), generator=random).float()
        found = kernels.sample_furthest(points, point_ops.tie_order(total), count)
        assert torch.equal(found, point_ops.plain_sampling(points, count)), f"sample {total}"
    points = torch.rand(2, 70, 3, generator=random)
    queries = torch.cat([points[:, :9], torch.full((2, 1, 3), 9.0)], dim=1)  # the last has none
    for radius, count in ((0.3, 5), (0.5, 33), (0.1, 3), (2.0, 100)):
        found = kernels.first_within(queries, points, point_ops.squared_radius(radius), count)
        expected = point_ops.plain_ball_queries(queries, points, (radius,), (count,))[0]
        assert torch.equal(found, expected), f"search {radius}"
    assert kernels.first_within(queries[:, :0], points, 1.0, 4).shape == (2, 0, 4)
    assert point_ops.kernels_agree(kernels, torch.device("cpu"), 150)


def compiled() -> None:
    """Machine code for several GPUs; distances without fused multiply-adds, which break ties."""
    arrays = {"points": "*fp32", "total": "i32", "TILE": "constexpr"}
    sample = arrays | {"nearest": "*fp32", "chosen": "*i64", "count": "i32"}
    search = arrays | {"queries": "*fp32", "found": "*i64", "bound": "fp32", "asked": "i32"}
    search["COUNT"] = "i32"  # as launched
    for capability in CAPABILITIES:
        for kernel, types, constants in (
            (kernels.sample_kernel, sample, {"TILE": kernels.SAMPLE_TILE}),
            (kernels.search_kernel, search, {"TILE": kernels.SEARCH_TILE}),
        ):
            types = {name: types[name] for name in kernel.arg_names}
            exact = machine_code(kernel, types, constants, capability, kernels.EXACT)
            assert exact.asm["cubin"], capability
            assert not FUSED.search(exact.asm["ptx"]), capability
    fused = machine_code(kernel, types, constants, capability, {"enable_fp_fusion": True})
    assert FUSED.search(fused.asm["ptx"]), "fused sums would not be noticed"


def machine_code(
    kernel: object, types: dict, constants: dict, capability: int, options: dict
) -> object:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


if __name__ == "__main__":
    {"interpreted": interpreted, "compiled": compiled}[sys.argv[1]]()
