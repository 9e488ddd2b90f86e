"""A load that does not end: reported by the node itself and by the others, and survived."""

from support.ros.held_double import Hold


def test_a_load_that_hangs_is_reported_and_ends_no_process(make_world, tmp_path):
    world = make_world()
    world.children.env["HELD_STAGES"] = str(tmp_path)
    hold = Hold(tmp_path, "load")
    world.start_node(
        "pose_node", "held_double.py", load_stuck_after_s=1.0, end_when_stuck=True, autostart=True
    )
    world.start_node("segmentation_node")
    world.probe.wait_for(hold.reached, "the load", 40.0)
    world.wait_for_problem("pose_node", "loading has taken more than 1 s (load_stuck_after_s)")
    assert world.probe.diagnostics("/pose_node")["state"] == "stuck"
    world.probe.wait_for(
        lambda: (
            "/pose_node is stuck: loading"
            in world.probe.diagnostics("/segmentation_node").get("peer_problem", "")
        ),
        "the report of the other node",
    )
    hold.release()
    world.probe.wait_ready("pose_node", "segmentation_node")
    world.poses_come(timeout_s=40.0)
