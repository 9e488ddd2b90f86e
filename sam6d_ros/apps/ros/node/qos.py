"""Quality of service of the nodes' topics."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# The last message also reaches subscriptions that are made later.
LATCHED = QoSProfile(
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    reliability=ReliabilityPolicy.RELIABLE,
)
# Results are small and wanted; the queue covers a reader that is briefly busy.
RESULTS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
# The default depth of 10 loses calls, and answers, of clients that call at the same time.
SERVICES = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
# Values of the parameters ``*.reliability``.
RELIABILITY = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}
