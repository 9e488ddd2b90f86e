"""Frame store: frames and masks paired by stamp, bounded in memory."""

from sam6d_ros.runtime.frame_store import FrameStore

SIZE = 100


def store_of(stamps, max_bytes=10 * SIZE):
    store = FrameStore(max_bytes)
    for stamp in stamps:
        assert store.add_frame(stamp, f"frame {stamp}", SIZE) is None
    return store


def test_masks_find_their_frame_whichever_comes_first():
    store = store_of(range(4))
    assert store.add_masks(2, "masks 2") == ("frame 2", "masks 2")
    assert store.add_masks(4, "masks 4") is None
    assert store.add_frame(4, "frame 4", SIZE) == ("frame 4", "masks 4")
    assert store.add_frame(4, "frame 4", SIZE) is None  # the masks are used up


def test_a_frame_is_matched_once_and_older_ones_are_let_go():
    store = store_of(range(4))
    assert store.add_masks(2, "masks")
    for stamp in (2, 1):
        assert store.add_masks(stamp, "masks") is None
    assert store.unmatched == 2  # a newer frame is here, so theirs will not come


def test_memory_bounds_the_store():
    store = store_of(range(10), max_bytes=2 * SIZE + SIZE // 2)
    assert store.add_masks(7, "masks") is None
    assert store.add_masks(8, "masks")
    store.add_frame(20, "big", 100 * SIZE)
    assert store.add_masks(20, "masks") == ("big", "masks")  # one frame always fits


def test_a_bag_that_begins_again_does_not_use_up_the_memory():
    store = store_of([*range(4)] * 5)
    assert store.add_masks(0, "masks"), "there is room for ten frames"


def test_a_frame_that_is_being_segmented_outlasts_the_memory():
    store = store_of([], max_bytes=2 * SIZE + SIZE // 2)
    store.announce(3)
    for stamp in range(3):
        store.add_frame(stamp, stamp, SIZE)
    store.announce(1)
    for stamp in range(3, 40):
        store.add_frame(stamp, stamp, SIZE)
    assert store.find(2) is None
    assert store.add_masks(1, "masks") == (1, "masks")
    assert store.find(1) == 1, "the last match stays in reach"
    assert store.add_masks(3, "masks") == (3, "masks")
    assert store.add_masks(39, "masks") == (39, "masks")


def test_a_frame_is_kept_for_each_stamp_even_if_it_is_false():
    """Nothing is concluded from the truth of what is stored."""
    store = FrameStore(SIZE)
    store.add_frame(1, 0, SIZE)
    assert store.find(1) == 0
    assert store.add_masks(1, ()) == (0, ())


def test_masks_of_before_the_first_frame_are_no_loss():
    """The segmentation node was earlier ready, or has got the camera's messages earlier."""
    store = FrameStore(10 * SIZE)
    for stamp in (1, 2):
        assert store.add_masks(stamp, "masks") is None
    store.add_frame(5, "frame 5", SIZE)
    assert store.add_masks(3, "masks") is None
    assert store.unmatched == 0
    store.add_frame(7, "frame 7", SIZE)
    assert store.add_masks(6, "masks") is None
    assert store.unmatched == 1


def test_a_time_that_goes_back_has_a_new_first_frame():
    store = store_of([50, 51])
    store.add_frame(10, "frame 10", SIZE)
    store.add_frame(12, "frame 12", SIZE)
    assert store.add_masks(11, "masks") is None
    assert store.unmatched == 1
