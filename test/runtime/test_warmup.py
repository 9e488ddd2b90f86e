"""The box of the warm-up, which tests also use in other sizes."""

from sam6d_ros.runtime.warmup import box_model


def test_boxes_of_different_sizes_share_nothing_in_the_cache():
    assert box_model((0.1, 0.1, 0.1)).content_hash != box_model((0.1, 0.1, 0.2)).content_hash
    assert box_model().content_hash == box_model().content_hash
