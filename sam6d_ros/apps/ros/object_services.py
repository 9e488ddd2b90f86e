"""Objects at run time: by service, by another file, or as another node lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Header

from sam6d_ros.apps.ros.engines import cache_dir_of, objects_file_from, share_folder
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.object_entries import entry_from, entry_message, entry_messages
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.objects import load_entry, read_objects_file
from sam6d_ros.errors import NotReady, Sam6dError
from sam6d_ros.msg import ObjectEntry as EntryMessage
from sam6d_ros.msg import ObjectList
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.srv import AddObject, ListObjects, RemoveObject

if TYPE_CHECKING:
    from sam6d_ros.apps.ros.vision_node import VisionNode

INTERRUPTED = "{}; list_objects tells whether it was done"


class ObjectServices:
    """``~/add_object``, ``~/remove_object``, ``~/list_objects`` and ``~/objects`` of a node.

    Args:
        node: whose engine holds the objects; everything that changes them is done in its worker.
        follow: whether to load what another node lists on ``~/follow_objects``.
    """

    def __init__(self, node: VisionNode[Any], follow: bool) -> None:
        self._node = node
        self._listed: ObjectList | None = None
        self._followed: ObjectList | None = None
        self._publisher = node.create_publisher(ObjectList, topics.OBJECTS, LATCHED)
        for kind, name, callback in (
            (AddObject, topics.ADD_OBJECT, self._add),
            (RemoveObject, topics.REMOVE_OBJECT, self._remove),
            (ListObjects, topics.LIST_OBJECTS, self._list),
        ):
            node.create_service(kind, name, callback, callback_group=node.service_group)
        if follow:
            node.create_subscription(
                ObjectList,
                topics.FOLLOW_OBJECTS,
                self._follow,
                LATCHED,
                callback_group=node.service_group,
            )

    # --- in the worker

    def loaded(self, engine: Engine) -> None:
        """Begin with the objects of a new engine, or rather with those of the node followed."""
        self._catch_up(engine)
        self._tell(engine)

    def _replace(self) -> None:
        """Register the objects of the file that the parameter names, and no others."""
        if self._node.configured:
            value = self._node.get_parameter("objects_file").value
            entries = read_objects_file(objects_file_from(value), share_folder)
            self._node.engine.replace_objects(entries)
            self._node.objects_file = value
            self._changed(self._node.engine)

    def _changed(self, engine: Engine) -> None:
        self._node.take_objects()
        self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        """Publish the list if it is not what was published last."""
        entries = entry_messages(engine)
        if self._listed is None or self._listed.objects != entries:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._listed = ObjectList(header=header, objects=entries)
            self._publisher.publish(self._listed)

    def _catch_up(self, engine: Engine) -> None:
        """Add, remove and replace what differs from the list that is followed."""
        shared = engine.role != self._node.role  # with the node that is followed
        if self._followed is None or shared:
            return
        wanted = {entry.name: entry for entry in self._followed.objects}
        here = {entry.name: entry for entry in entry_messages(engine)}
        for name in here:
            if name not in wanted or _key(here[name]) != _key(wanted[name]):
                engine.remove_object(name)
        for name, entry in wanted.items():
            if name in engine.objects:
                continue
            try:
                engine.add_entry(entry_from(entry))
            except Sam6dError as error:
                topic = self._node.resolve_topic_name(topics.FOLLOW_OBJECTS)
                self._node.get_logger().error(f"{name}, listed on {topic}, is not loaded: {error}")

    # --- callbacks

    def check_file(self, value: str) -> None:
        """Load every object of another file and change nothing.

        Raises:
            InvalidObjects, InvalidMesh: the file, or one of its meshes, is unusable.
        """
        cache_dir = cache_dir_of(self._node)
        for entry in read_objects_file(objects_file_from(value), share_folder):
            load_entry(entry, cache_dir)

    def follow_file(self) -> None:
        """Replace all objects by those of the parameter's file; if that fails, set it back.

        It waits for the worker, and so must not be called in the executor's thread.
        """
        try:
            self._node.do_in_worker(self._replace)
        except NotReady:
            return  # the node changed its state; the file is read when it is configured
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            self._node.status.failed(error)
            before = RosParameter("objects_file", value=self._node.objects_file)
            self._node.set_parameters([before])

    async def _add(
        self, request: AddObject.Request, response: AddObject.Response
    ) -> AddObject.Response:
        def add() -> ObjectModel:
            engine = self._node.engine
            model = engine.add_entry(entry_from(request))
            self._changed(engine)
            response.object = entry_message(model, engine.entries.get(model.name))
            return model

        return await self._answer(response, add, _understood)

    async def _remove(
        self, request: RemoveObject.Request, response: RemoveObject.Response
    ) -> RemoveObject.Response:
        def remove() -> str:
            engine = self._node.engine
            engine.remove_object(request.name)
            self._changed(engine)
            return request.name

        return await self._answer(response, remove, lambda name: f"{name} is removed")

    async def _answer(
        self, response: Any, job: Callable[[], Any], told: Callable[[Any], str]
    ) -> Any:
        """Have the job done in the worker, and fill in success and message."""
        try:
            response.message = told(await self._node.in_worker(job))
            response.success = True
            self._node.get_logger().info(response.message)
        except NotReady as error:
            response.message = INTERRUPTED.format(error)
        except Exception as error:  # the boundary: a bad mesh or a defect, the node goes on
            response.message = str(error) if isinstance(error, Sam6dError) else repr(error)
            self._node.get_logger().warning(f"objects stay as they are: {response.message}")
        return response

    def _list(self, _: ListObjects.Request, response: ListObjects.Response) -> ListObjects.Response:
        if self._node.configured:
            response.objects = entry_messages(self._node.engine)
        return response

    async def _follow(self, listed: ObjectList) -> None:
        def catch_up() -> None:
            if self._node.configured:
                engine = self._node.engine
                self._catch_up(engine)
                self._changed(engine)

        self._followed = listed
        while True:
            try:
                return await self._node.in_worker(catch_up)
            except NotReady:
                continue  # the node changed its state: look again
            except Exception as error:  # the boundary: see status.ERROR_TABLE
                return self._node.status.failed(error)


def _key(entry: EntryMessage) -> tuple[str, str]:
    """What two nodes' objects of one name are compared by."""
    return entry.content_hash, entry.options


def _understood(model: ObjectModel) -> str:
    size = " × ".join(f"{extent:.3f}" for extent in model.box_size)
    symmetric = "symmetric" if model.symmetries.is_symmetric else "not symmetric"
    return f"{model.name}: {size} m, {symmetric}; {model.unit_note}"
