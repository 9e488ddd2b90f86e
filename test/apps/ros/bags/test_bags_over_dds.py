"""`sam6d replay` and `sam6d record` as processes over DDS, with the nodes and with a probe."""

from __future__ import annotations

import itertools
import sys
import time

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, String
from support.bag_maker import (
    BEST_EFFORT,
    GREEN,
    RED,
    START_NS,
    camera_messages,
    stamp_ns,
    write_bag,
)

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.node.qos import LATCHED

BOTH = ("segmentation_node", "pose_node")
POSES, TF = "/pose_node/detections", "/tf"
READY = [f"/{name}/ready" for name in BOTH]
CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # as rclpy asks


@pytest.fixture
def sam6d(probe, tmp_path):
    """Start a command as a process; the probe's fixture checks how it ends."""

    def start(*words):
        return probe.children.start_command(
            str(words[0]), [sys.executable, "-m", "sam6d_ros.apps.cli.main", *map(str, words)]
        )

    def end(child):
        """Wait for its end, on a busy machine too."""
        probe.children.running.remove(child)
        code = child.wait(timeout_s=120.0)
        assert "Traceback" not in child.output(), child.output()
        return code

    start.end = end
    return start


def stamps(messages):
    return sorted({conversions.stamp_ns_of(message.header) for message in messages})


def bag_of_words(path, words, topic="/words", offer=LATCHED):
    """A bag of text messages at given bag times in milliseconds."""
    with BagWriter(path, "mcap") as writer:
        writer.add_topic(topic, "std_msgs/msg/String", [offer])
        for ms, word in words:
            writer.write(topic, START_NS + ms * 1_000_000, String(data=word))
    return path


def test_nodes_on_bag_time_answer_a_bag_with_its_stamps_and_the_answer_is_recorded(
    probe, sam6d, tmp_path
):
    """Bag → replay --clock → both nodes with use_sim_time → record → a bag with the same stamps."""
    frames = [camera_messages(index, [RED, GREEN][: 1 + index % 2]) for index in range(4)]
    bag = write_bag(tmp_path / "bag", frames, offers=[QoSProfile(depth=5)])
    reliable = {f"{name}.reliability": "reliable" for name in ("rgb", "depth", "camera_info")}
    probe.start_double(*BOTH, parameters={"use_sim_time": True, **reliable})
    probe.listen(POSES)
    go = probe.node.create_publisher(Bool, "/go", LATCHED)
    play = ["--clock", "--rate", 0.4, "--wait-for", *READY, "/go"]
    player = sam6d("replay", "--bag", bag, *play)
    topics = [POSES, TF, READY[1]]
    write = ["--out", tmp_path / "out", "--storage", "sqlite3", "--use-sim-time"]
    recorder = sam6d("record", *write, *topics)
    wait_for_reader(probe, "sam6d_record", *topics)
    go.publish(Bool(data=True))
    probe.wait_for(lambda: len(probe.received[POSES]) >= 4, "all poses")
    assert sam6d.end(player) == 0
    recorder.interrupt()
    assert sam6d.end(recorder) == 0
    expected = [stamp_ns(index) for index in range(4)]
    assert stamps(probe.received[POSES]) == expected
    with BagReader(tmp_path / "out") as result:
        content = {t.name: [r.message() for r in result.messages([t])] for t in result.topics}
        times = [recorded.time_ns for recorded in result.messages([result.topic(POSES)])]
        (ready,) = result.topic(READY[1]).offers
    assert content[POSES] == probe.received[POSES]
    assert [len(m.detections) for m in content[POSES]] == [1, 2, 1, 2]
    delays_s = [1e-9 * (at - stamp) for at, stamp in zip(times, expected, strict=True)]
    assert all(-0.1 < delay < 10 for delay in delays_s), "bag time, a tick old; not of the year"
    assert stamps(t for m in content[TF] for t in m.transforms) == expected
    assert content[READY[1]][-1] == Bool(data=True), "latched: sent before the recorder came"
    assert ready.durability is QosDurability.TRANSIENT_LOCAL
    with AnyReader([tmp_path / "out"]) as reader:
        assert reader.message_count == sum(len(messages) for messages in content.values())


def wait_for_reader(probe, node, *topics):
    """Wait until a node, known by its name, subscribes to the topics."""

    def there():
        return all(node in {i.node_name for i in infos(probe, t)} for t in topics)

    probe.wait_for(there, f"{node} to subscribe to {topics}")


def infos(probe, topic):
    return probe.node.get_subscriptions_info_by_topic(topic)


def hear(probe, kind, topic, qos):
    """A list that fills with what is sent on a topic, as (monotonic seconds, message)."""
    heard = []
    probe.node.create_subscription(
        kind, topic, lambda message: heard.append((time.monotonic(), message)), qos
    )
    return heard


def bag_ns(clock):
    return clock.clock.sec * 1_000_000_000 + clock.clock.nanosec


def test_the_clock_stands_while_waiting_and_then_runs_at_the_rate(probe, sam6d, tmp_path):
    bag = bag_of_words(tmp_path / "bag", [(0, "first"), (3000, "last")])
    clocks = hear(probe, Clock, "/clock", CLOCK_QOS)
    words = hear(probe, String, "/words", LATCHED)
    child = sam6d("replay", "--bag", bag, "--clock", 50, "--rate", 2, "--wait-for", "/go")
    probe.wait_for(lambda: len(clocks) > 5, "the clock")
    assert {bag_ns(clock) for _, clock in clocks} == {START_NS}
    assert not words
    assert "waiting for /go to be true" in child.output()
    go = probe.node.create_publisher(Bool, "/go", LATCHED)
    go.publish(Bool(data=False))
    go.publish(Bool(data=True))
    probe.wait_for(lambda: len(words) == 2, "both words")
    assert sam6d.end(child) == 0
    assert [message.data for _, message in words] == ["first", "last"]
    moving = [(at_s, bag_ns(clock)) for at_s, clock in clocks if bag_ns(clock) > START_NS]
    assert moving == sorted(moving)
    seconds = moving[-1][0] - moving[0][0]
    assert 1e-9 * (moving[-1][1] - moving[0][1]) / seconds == pytest.approx(2, rel=0.3)
    assert words[1][0] - words[0][0] == pytest.approx(1.5, abs=0.5)
    assert "2 messages sent" in child.output()


def test_a_loop_begins_again_and_sets_the_clock_back(probe, sam6d, tmp_path):
    bag = bag_of_words(tmp_path / "bag", [(0, "first"), (300, "last")])
    clocks = hear(probe, Clock, "/clock", CLOCK_QOS)
    words = hear(probe, String, "/words", QoSProfile(depth=10))
    child = sam6d("replay", "--bag", bag, "--clock", "--loop", "--wait-for-subscribers", "/words")
    probe.wait_for(lambda: len(words) >= 4, "the second round")
    child.interrupt()
    assert sam6d.end(child) == 0
    assert [m.data for _, m in words][:4] == ["first", "last", "first", "last"]
    times = [bag_ns(clock) for _, clock in clocks]
    assert any(after < before for before, after in itertools.pairwise(times))


def test_recorded_qos_is_offered_and_late_readers_get_latched_messages(probe, sam6d, tmp_path):
    bag = tmp_path / "bag"
    with BagWriter(bag, "mcap") as writer:
        for topic, offer in (("/map", LATCHED), ("/noise", BEST_EFFORT)):
            writer.add_topic(topic, "std_msgs/msg/String", [offer])
            writer.write(topic, START_NS, String(data=topic))
            writer.write(topic, START_NS + 3_600_000_000_000, String(data="in an hour"))
    child = sam6d("replay", "--bag", bag)

    def publishers(topic):
        return probe.node.get_publishers_info_by_topic(topic)

    probe.wait_for(lambda: publishers("/map") and publishers("/noise"), "the publishers")
    late = hear(probe, String, "/map", LATCHED)
    probe.wait_for(lambda: late, "the latched message")
    assert late[0][1].data == "/map"
    (noise,), (latched,) = publishers("/noise"), publishers("/map")
    assert noise.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert latched.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    child.interrupt()
    assert sam6d.end(child) == 0, "an hour early"
    assert "2 messages sent" in child.output()


def test_a_part_of_a_bag_under_another_name_with_what_was_latched_before(probe, sam6d, tmp_path):
    with BagWriter(tmp_path / "bag", "sqlite3") as writer:
        for topic, offer in (("/map", LATCHED), ("/words", QoSProfile(depth=1)), ("/x", LATCHED)):
            writer.add_topic(topic, "std_msgs/msg/String", [offer])
            for ms in (0, 1000, 1500, 2500):
                message = String(data=f"{topic} {ms}")
                if topic != "/map" or ms == 0:
                    writer.write(topic, START_NS + ms * 1_000_000, message)
    deep = QoSProfile(depth=10)
    said, not_said = hear(probe, String, "/said", deep), hear(probe, String, "/words", deep)
    maps, others = hear(probe, String, "/map", deep), hear(probe, String, "/x", deep)
    topics = ["--topics", "/map", "words", "--remap", "/words:=/said", "--start", 1]
    more = ["--duration", 1, "--rate", 5, "--wait-for-subscribers", "/said", "/map"]
    child = sam6d("replay", "--bag", tmp_path / "bag", *topics, *more)
    probe.wait_for(lambda: len(said) >= 2 and maps, "the messages")
    assert sam6d.end(child) == 0
    assert [m.data for _, m in said] == ["/words 1000", "/words 1500"]
    assert [m.data for _, m in maps] == ["/map 0"]
    assert not not_said
    assert not others


def test_all_topics_are_recorded_whatever_their_publishers_offer(probe, sam6d, tmp_path):
    """Messages of a best-effort publisher that comes second are recorded too."""
    first = probe.node.create_publisher(String, "/talk", QoSProfile(depth=10))
    hidden = probe.node.create_publisher(String, "/_hidden/talk", QoSProfile(depth=10))
    child = sam6d("record", "--out", tmp_path / "out", "--all")
    wait_for_reader(probe, "sam6d_record", "/talk")
    second = probe.node.create_publisher(String, "/talk", BEST_EFFORT)

    def hears_both():
        return any(i.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for i in readers())

    def readers():
        return [i for i in infos(probe, "/talk") if i.node_name == "sam6d_record"]

    probe.wait_for(hears_both, "the recorder to ask for less")
    probe.wait_for(
        lambda: min(p.get_subscription_count() for p in (first, second)) == 1 == len(readers()),
        "both publishers to have one reader",
    )
    for publisher, word in ((first, "reliable"), (second, "best effort"), (hidden, "hidden")):
        publisher.publish(String(data=word))
    child.interrupt()
    assert sam6d.end(child) == 0
    with BagReader(tmp_path / "out") as bag:
        names = {topic.name for topic in bag.topics}
        talk = bag.topic("/talk")
        words = {recorded.message().data for recorded in bag.messages([talk])}
    assert {"/talk", "/parameter_events"} <= names
    assert "/_hidden/talk" not in names
    assert words == {"reliable", "best effort"}
    assert talk.offers[0].reliability is QosReliability.RELIABLE


def test_topics_that_nobody_publishes_are_named_at_the_end(probe, sam6d, tmp_path):
    child = sam6d("record", "--out", tmp_path / "out", "--duration", 0.3, "/nothing")
    assert sam6d.end(child) == 3
    assert "/nothing: no publisher" in child.output()
    with BagReader(tmp_path / "out") as bag:
        assert not bag.topics
