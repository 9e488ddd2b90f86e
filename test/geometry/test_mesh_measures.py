"""Measures of meshes."""

import numpy as np

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.mesh import box_corners


def test_corners_of_a_box_follow_the_bits_of_their_index():
    obj_from_box = se3.exp([0.1, -0.2, 0.3, 0.4, 0.5, -0.6])
    size = np.array([0.2, 0.4, 0.6])
    corners = se3.transform(se3.inverse(obj_from_box), box_corners(obj_from_box, size)) / size
    signs = [[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)]
    assert np.allclose(corners, np.array(signs) - 0.5)
