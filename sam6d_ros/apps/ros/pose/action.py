"""Estimation on demand: the service ``~/trigger`` and the action ``~/estimate_poses``."""

from __future__ import annotations

import time

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.on_demand import Waiting
from sam6d_ros.apps.ros.node.qos import SERVICES
from sam6d_ros.apps.ros.pose.estimation import OnDemandEstimation
from sam6d_ros.apps.ros.pose.goal import Goal
from sam6d_ros.errors import Cancelled, DeadlineExceeded
from sam6d_ros.runtime.error_table import message_of
from sam6d_ros.runtime.status import HostStatus

LOOK_EVERY_S = 0.02  # for the state of a goal, which follows the answer to its cancel request
CANCEL_WAIT_S = 2.0  # longest wait for that state


class OnDemandServers:
    """Trigger service and action server of a pose node.

    Args:
        node: that has them.
        group: callback group of callbacks that await something.
        status: takes the log lines of requests that failed.
        estimation: serves the goals.
    """

    def __init__(
        self, node: Node, group: CallbackGroup, status: HostStatus, estimation: OnDemandEstimation
    ) -> None:
        self._status, self._estimation = status, estimation
        self._waiting = Waiting(node, group)
        self._goals: dict[bytes, Goal] = {}
        node.create_service(
            Trigger, topics.TRIGGER, self._trigger, qos_profile=SERVICES, callback_group=group
        )
        self._server = ActionServer(
            node,
            EstimatePoses,
            topics.ESTIMATE_POSES,
            self._execute,
            callback_group=group,
            goal_service_qos_profile=SERVICES,
            result_service_qos_profile=SERVICES,
            cancel_service_qos_profile=SERVICES,
            goal_callback=lambda _: (
                GoalResponse.ACCEPT
            ),  # an abort can give a reason, a refusal cannot
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
        )

    def destroy(self) -> None:
        """Destroy the action server."""
        self._server.destroy()

    async def _trigger(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        goal = Goal(EstimatePoses.Goal(), lambda _: None)
        try:
            _, response.message = await self._estimation.run(goal)
            response.success = True
        except Exception as error:  # the boundary: the caller gets the reason, the node goes on
            response.message = self._failed(goal, error)
        return response

    def _accepted(self, handle: ServerGoalHandle) -> None:
        self._goals[bytes(handle.goal_id.uuid)] = Goal(handle.request, handle.publish_feedback)
        handle.execute()

    async def _execute(self, handle: ServerGoalHandle) -> EstimatePoses.Result:
        result = EstimatePoses.Result()
        goal = self._goals[bytes(handle.goal_id.uuid)]
        try:
            result.detections, result.message = await self._estimation.run(goal)
            result.success = True
            handle.succeed()
        except Cancelled as error:
            result.message = f"{error}, {goal.place}"
            await self._end_cancelled(handle)
        except Exception as error:  # the boundary, as above
            result.message = self._failed(goal, error)
            handle.abort()
        finally:
            del self._goals[bytes(handle.goal_id.uuid)]
        result.frames_used = goal.frames_used
        return result

    async def _end_cancelled(self, handle: ServerGoalHandle) -> None:
        deadline = time.monotonic() + CANCEL_WAIT_S
        if await self._waiting.until(lambda: handle.is_cancel_requested, deadline, LOOK_EVERY_S):
            handle.canceled()
        else:
            handle.abort()

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        goal = self._goals.get(bytes(handle.goal_id.uuid))
        in_time = goal is not None and goal.request.cancel()
        self._estimation.notify()
        return CancelResponse.ACCEPT if in_time else CancelResponse.REJECT

    def _failed(self, goal: Goal, error: Exception) -> str:
        """Log the error by the table; return the text for the client."""
        self._status.log_error(error, f"request failed at {goal.place}")
        text = message_of(error)
        return f"{text}, {goal.place}" if isinstance(error, DeadlineExceeded) else text
