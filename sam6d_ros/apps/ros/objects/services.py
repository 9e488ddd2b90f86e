"""Objects at run time: by service, or as another node lists them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Header

from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import LATCHED, SERVICES
from sam6d_ros.apps.ros.objects.entries import entry_from, entry_message, entry_messages
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import NotReady, Sam6dError
from sam6d_ros.msg import ObjectEntry as EntryMessage
from sam6d_ros.msg import ObjectList
from sam6d_ros.runtime.engine_host import EngineHost
from sam6d_ros.runtime.error_table import message_of
from sam6d_ros.runtime.objects import ObjectChange, ObjectSet, WantedObject, difference
from sam6d_ros.srv import AddObject, ListObjects, RemoveObject

RESTATE_S = 1.0  # time between two lists that replace a foreign one
# A lost message is sent again up to seconds later: a reader may get the foreign list last.
RESTATEMENTS = 5
INTERRUPTED = "{}; list_objects shows whether it was done"


@dataclass(frozen=True)
class Waits:
    """Ways of a node to wait for its host.

    Attributes:
        group: callback group of callbacks that await something.
        awaitable: an outcome of the host, for coroutine callbacks.
        start: runs a job that may block in a thread of its own.
        refusal: why there is no engine in the present state of the node, or nothing.
    """

    group: CallbackGroup
    awaitable: Callable[[futures.Future[Any]], Future]
    start: Callable[[Callable[[], None]], object]
    refusal: Callable[[], str]


class ObjectServices:
    """``~/add_object``, ``~/remove_object``, ``~/list_objects`` and ``~/objects`` of a node.

    Args:
        node: that has the services.
        host: of the engine that holds the objects.
        waits: how callbacks wait for the host.
        follow: whether to load what another node lists on ``~/follow_objects``.
        shared: whether the followed node has the same engine.
    """

    def __init__(
        self,
        node: Node,
        host: EngineHost[Any],
        waits: Waits,
        *,
        follow: bool,
        shared: Callable[[], bool],
    ) -> None:
        self._node, self._host, self._waits = node, host, waits
        self._shared = shared
        self._listed: ObjectList | None = None
        self._followed = _Newest()
        self._one_at_a_time = threading.Lock()
        self._publisher = node.create_publisher(ObjectList, topics.OBJECTS, LATCHED)
        self._to_restate = 0
        node.create_subscription(ObjectList, topics.OBJECTS, self._on_list, LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(RESTATE_S, self._restate, clock=steady)
        for kind, name, callback in (
            (AddObject, topics.ADD_OBJECT, self._add),
            (RemoveObject, topics.REMOVE_OBJECT, self._remove),
            (ListObjects, topics.LIST_OBJECTS, self._list),
        ):
            node.create_service(
                kind, name, callback, qos_profile=SERVICES, callback_group=waits.group
            )
        if follow:
            node.create_subscription(ObjectList, topics.FOLLOW_OBJECTS, self._follow, LATCHED)

    def _roots(self) -> Sequence[str]:
        """Folders in which the files that others name must lie."""
        return [root for root in self._node.get_parameter("object_roots").value if root]

    def publish(self, objects: ObjectSet) -> None:
        """Publish the list if it is not what was published last; called in one thread only."""
        entries = entry_messages(objects)
        if self._listed is None or self._listed.objects != entries:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._listed = ObjectList(header=header, objects=entries)
            self._publisher.publish(self._listed)

    def _on_list(self, message: ObjectList) -> None:
        """Note a list of another publisher: the readers follow the newest one."""
        if self._listed is not None and message != self._listed:
            self._to_restate = RESTATEMENTS

    def _restate(self) -> None:
        """Publish the list again after that of another publisher, which would stay in force."""
        if self._to_restate and self._listed is not None:
            self._to_restate -= 1
            text = f"{self._publisher.topic_name} has another publisher; stop or remap it"
            self._host.status.log(logging.WARNING, text, key="publishers of objects")
            self._publisher.publish(self._listed)

    # --- services

    async def _add(
        self, request: AddObject.Request, response: AddObject.Response
    ) -> AddObject.Response:
        def done(objects: ObjectSet) -> str:
            model = objects.models[request.name]
            response.object = entry_message(model, objects.entries.get(model.name))
            return _understood(model)

        def change() -> ObjectChange:
            return ObjectChange.add(entry_from(request, self._roots()))

        return await self._answer(response, change, done)

    async def _remove(
        self, request: RemoveObject.Request, response: RemoveObject.Response
    ) -> RemoveObject.Response:
        name = request.name
        return await self._answer(
            response, lambda: ObjectChange.drop(name), lambda _: f"{name} is removed"
        )

    async def _answer(
        self,
        response: Any,
        change: Callable[[], ObjectChange],
        message: Callable[[ObjectSet], str],
    ) -> Any:
        """Apply the change, and fill in success and message."""
        if refusal := self._waits.refusal():
            response.message = refusal
            return response
        try:
            objects = await self._waits.awaitable(self._host.change(change()))
            response.message, response.success = message(objects), True
            self._node.get_logger().info(response.message)
        except Exception as error:  # the boundary: a bad mesh or a defect, the node goes on
            self._host.status.log_error(error, "change of the objects failed")
            text = message_of(error)
            response.message = INTERRUPTED.format(text) if isinstance(error, NotReady) else text
        return response

    def _list(self, _: ListObjects.Request, response: ListObjects.Response) -> ListObjects.Response:
        response.objects = entry_messages(self._host.objects)
        return response

    # --- following another node

    def _follow(self, listed: ObjectList) -> None:
        """Follow the newest list in one thread, however many come meanwhile."""
        if self._followed.put(listed):
            self._waits.start(self._follow_newest)

    def _follow_newest(self) -> None:
        while self._followed.take():
            self.catch_up()

    def catch_up(self) -> None:
        """Add, remove and replace what differs from the newest list that is followed.

        It waits for the host, and so must not be called in the executor's thread.
        """
        with self._one_at_a_time:
            interrupted: NotReady | None = None
            for _ in range(topics.CHANGE_ATTEMPTS):
                listed = self._followed.value
                if listed is None or self._waits.refusal():
                    return
                try:
                    return self._make_equal(listed)
                except NotReady as error:
                    interrupted = error
                except BaseException as error:  # the boundary: see runtime.error_table
                    return self._host.status.failed(error)
            if interrupted is not None:
                self._refused("the set of objects", interrupted)

    def _make_equal(self, listed: ObjectList) -> None:
        if self._shared():  # the engine has them already
            self._host.change(ObjectChange()).result()
            return
        wanted = [self._wanted(entry) for entry in listed.objects]
        changes = difference(self._host.objects, wanted)
        try:  # at once, so that an object that is replaced is never missing
            self._host.change(ObjectChange.together(changes)).result()
        except NotReady:
            raise
        except Sam6dError:
            self._make_each(changes)

    def _make_each(self, changes: Sequence[ObjectChange]) -> None:
        """Make changes one by one, because one of them fails."""
        for change in changes:
            try:
                self._host.change(change).result()
            except NotReady:
                raise
            except Sam6dError as error:
                self._refused(", ".join(item.name for item in change.put), error)

    def _wanted(self, entry: EntryMessage) -> WantedObject:
        try:
            return WantedObject(entry.name, entry.content_hash, entry_from(entry, self._roots()))
        except Sam6dError as error:
            here = self._host.objects.models.get(entry.name)
            if here is None or here.content_hash != entry.content_hash:
                self._refused(entry.name, error)
            return WantedObject(entry.name, entry.content_hash, None)

    def _refused(self, name: str, error: Sam6dError) -> None:
        topic = self._node.resolve_topic_name(topics.FOLLOW_OBJECTS)
        text = f"{name}, listed on {topic}, is not loaded: {error}"
        self._host.status.log(logging.ERROR, text, key=text)


class _Newest:
    """Newest list that came, and whether a thread follows it; from any thread."""

    def __init__(self) -> None:
        self.value: ObjectList | None = None
        self._new = self._followed = False
        self._lock = threading.Lock()

    def put(self, listed: ObjectList) -> bool:
        """Keep a list; True if no thread follows, and the caller is to start one."""
        with self._lock:
            self.value, self._new = listed, True
            idle, self._followed = not self._followed, True
            return idle

    def take(self) -> bool:
        """Whether a list came since the last call; if not, the calling thread must end."""
        with self._lock:
            new, self._new = self._new, False
            self._followed = new
            return new


def _understood(model: ObjectModel) -> str:
    size = " × ".join(f"{extent:.3f}" for extent in model.box_size)
    symmetric = "symmetric" if model.symmetries.is_symmetric else "not symmetric"
    return f"{model.name}: {size} m, {symmetric}; {model.unit_note}"
