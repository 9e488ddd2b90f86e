"""Parameter ``objects_file`` of a node: checked before it is stored, in force afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.spec import cache_dir_of, objects_file_from, share_folder
from sam6d_ros.cad.objects import load_entry, read_objects_file
from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.engine_host import EngineHost
from sam6d_ros.runtime.objects import ObjectChange

_NAME = "objects_file"
_LOG = logging.getLogger(__name__)


class ObjectsFile:
    """Objects file of a node while its engine is loaded.

    Args:
        node: has the parameter.
        host: of the engine.
        loaded: whether the host has an engine.
    """

    def __init__(self, node: Node, host: EngineHost[Any], loaded: Callable[[], bool]) -> None:
        self._node, self._host, self._loaded = node, host, loaded
        self._first = ""
        self._restored: str | None = None  # value that is being set back: its objects are there

    @property
    def in_force(self) -> str:
        """Value of the parameter whose objects are registered."""
        return self._host.objects.source or self._first

    def take(self) -> str:
        """Return the value of the parameter, with which an engine is now loaded."""
        self._first = self._value()
        return self._first

    def check(self, changes: Sequence[RosParameter]) -> None:
        """Load every object of a new file and change nothing.

        Raises:
            InvalidConfig: the value is empty.
            InvalidObjects, InvalidMesh: the file, or one of its meshes, is unusable.
        """
        for change in changes:
            if self._is_new(change) and self._loaded():
                for entry in read_objects_file(objects_file_from(change.value), share_folder):
                    load_entry(entry, cache_dir_of(self._node))

    def follow(self, changes: Sequence[RosParameter]) -> None:
        """Register the objects of a stored file and no others; set it back if that fails.

        It waits for the host, and so must not be called in the executor's thread.
        """
        if not any(map(self._is_new, changes)):
            return
        for left in reversed(range(topics.CHANGE_ATTEMPTS)):
            if not self._loaded():
                return
            try:
                return self._register(self._value())
            except Exception as error:  # the boundary: see runtime.error_table
                if not left or not isinstance(error, NotReady):
                    return self._set_back(error)

    def _register(self, value: str) -> None:
        entries = read_objects_file(objects_file_from(value), share_folder)
        self._host.change(ObjectChange.only(entries, source=value)).result()

    def _set_back(self, error: Exception) -> None:
        """Store the value in force again; its objects are registered, so that nothing follows."""
        self._host.status.failed(error)
        self._host.status.log(
            logging.ERROR, f"objects_file is set back to {self.in_force}: {error}", key=_NAME
        )
        self._restored = self.in_force
        try:
            self._node.set_parameters([RosParameter(_NAME, value=self._restored)])
        finally:
            self._restored = None

    def _is_new(self, change: RosParameter) -> bool:
        return bool(change.name == _NAME and change.value != self._restored)

    def _value(self) -> str:
        value: str = self._node.get_parameter(_NAME).value
        return value
