"""Laws of the bridging of gaps in registered depth."""

import numpy as np
import pytest

from sam6d_ros.geometry.depth_gaps import bridge_gaps, is_sparse


def tilted(shape=(120, 160)):
    rows, cols = np.indices(shape)
    return (0.8 + 0.001 * cols + 0.0005 * rows).astype(np.float32)


def every(depth, step):
    sparse = np.zeros_like(depth)
    sparse[::step, ::step] = depth[::step, ::step]
    return sparse


@pytest.mark.parametrize("step", [2, 3])
def test_a_plane_is_restored(step):
    plane = tilted()
    sparse = every(plane, step)
    assert is_sparse(sparse)
    dense = bridge_gaps(sparse)
    inner = (slice(3, -5), slice(3, -5))
    assert (dense[inner] > 0).all()
    np.testing.assert_allclose(dense[inner], plane[inner], rtol=2e-3)


def test_measured_values_stay():
    sparse = every(tilted(), 3)
    dense = bridge_gaps(sparse)
    np.testing.assert_array_equal(dense[sparse > 0], sparse[sparse > 0])


def test_dense_depth_is_returned_as_it_is():
    depth = tilted()
    depth[20:60, 30:90] = 0
    depth[np.random.default_rng(0).random(depth.shape) < 0.2] = 0
    assert bridge_gaps(depth) is depth
    empty = np.zeros((60, 80), np.float32)
    assert bridge_gaps(empty) is empty


def test_a_step_between_surfaces_stays_a_step():
    """No value lies between the two surfaces."""
    depth = np.full((90, 90), 1.0, np.float32)
    depth[:, 45:] = 0.6
    dense = bridge_gaps(every(depth, 3))
    values = dense[dense > 0]
    assert (np.isclose(values, 1.0, atol=0.01) | np.isclose(values, 0.6, atol=0.01)).all()


def test_wide_holes_stay():
    sparse = every(tilted(), 3)
    sparse[40:80, 50:100] = 0
    assert not bridge_gaps(sparse)[45:75, 55:95].any()
