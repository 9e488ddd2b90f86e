"""Stand-in for the Python API of `message_filters` (ros2/message_filters, Jazzy and Kilted).

Filters pass messages on to the callbacks registered with them; synchronizers are filters with
several inputs. A filter delivers in the thread of the executor that delivered its input.
"""

from message_filters.cache import Cache
from message_filters.simple_filter import SimpleFilter
from message_filters.subscriber import Subscriber
from message_filters.synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = [
    "ApproximateTimeSynchronizer",
    "Cache",
    "SimpleFilter",
    "Subscriber",
    "TimeSynchronizer",
]
