"""How one asks the pose node: the service ``~/trigger`` and the action ``~/estimate_poses``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from std_srvs.srv import Trigger

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.on_demand import Waiting
from sam6d_ros.apps.ros.on_demand_estimate import OnDemandEstimation
from sam6d_ros.apps.ros.on_demand_request import Canceled, Request
from sam6d_ros.errors import Sam6dError

if TYPE_CHECKING:
    from sam6d_ros.apps.ros.pose_node import PoseNode

LOOK_EVERY_S = 0.02  # for the state of a goal, which follows the answer to its cancel request


class OnDemandServers:
    """The trigger service and the action server of a pose node."""

    def __init__(self, node: PoseNode) -> None:
        self._node, self._estimation = node, OnDemandEstimation(node)
        self.notify = self._estimation.notify
        self._waiting = Waiting(node, node.service_group)
        self._requests: dict[bytes, Request] = {}
        group = node.service_group
        node.create_service(Trigger, topics.TRIGGER, self._trigger, callback_group=group)
        self._server = ActionServer(
            node,
            EstimatePoses,
            topics.ESTIMATE_POSES,
            self._execute,
            callback_group=group,
            goal_callback=lambda _: GoalResponse.ACCEPT,  # an abort can say why, a refusal cannot
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
        )

    def destroy(self) -> None:
        """Destroy the action server."""
        self._server.destroy()

    async def _trigger(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            request = Request(EstimatePoses.Goal(), lambda _: None)
            _, response.message = await self._estimation.run(request)
            response.success = True
        except Exception as error:  # the boundary: the caller gets the reason, the node goes on
            response.message = self._failed(error)
        return response

    def _accepted(self, handle: ServerGoalHandle) -> None:
        request = Request(handle.request, handle.publish_feedback)
        self._requests[bytes(handle.goal_id.uuid)] = request
        handle.execute()

    async def _execute(self, handle: ServerGoalHandle) -> EstimatePoses.Result:
        result = EstimatePoses.Result()
        request = self._requests[bytes(handle.goal_id.uuid)]
        try:
            result.detections, result.message = await self._estimation.run(request)
            result.success = True
            handle.succeed()
        except Canceled as error:
            result.message = str(error)
            await self._waiting.until(lambda: handle.is_cancel_requested, every_s=LOOK_EVERY_S)
            handle.canceled()
        except Exception as error:  # the boundary, as above
            result.message = self._failed(error)
            handle.abort()
        finally:
            del self._requests[bytes(handle.goal_id.uuid)]
        result.frames_used = request.frames_used
        return result

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        request = self._requests.get(bytes(handle.goal_id.uuid))
        in_time = request is not None and request.cancel()
        self._estimation.notify()
        return CancelResponse.ACCEPT if in_time else CancelResponse.REJECT

    def _failed(self, error: Exception) -> str:
        """What to tell who asked; the log is told too."""
        kind = type(error).__name__
        text = str(error) if isinstance(error, Sam6dError) else f"{kind}: {error}"
        self._node.status.log("warning", f"a request failed: {text}", key=f"request {kind}")
        return text
