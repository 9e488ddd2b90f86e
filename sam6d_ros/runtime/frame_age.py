"""Whether a frame is too old to be worth an answer, and what to do about it. Holds no ROS type."""

from __future__ import annotations

# A camera and its user that share a clock are never this far apart.
OTHER_CLOCK_S = 86_400.0
UNITS = ((31_557_600.0, "years"), (86_400.0, "days"), (3600.0, "h"), (60.0, "min"))


def too_old(age_s: float, max_age_s: float) -> bool:
    """Return whether a frame of this age is skipped; a limit of 0 takes every frame.

    Args:
        age_s: age of the image, seconds.
        max_age_s: the limit, seconds.
    """
    return 0 < max_age_s < age_s


def age_problem(age_s: float, max_age_s: float) -> str:
    """Describe an age beyond the limit, in either direction.

    Args:
        age_s: the node's clock minus the stamp of the image; negative when it is in the future.
        max_age_s: the limit; with 0 nothing is said.

    Returns:
        The problem as text, or an empty text.
    """
    if not 0 < max_age_s < abs(age_s):
        return ""
    side = "older than" if age_s > 0 else "ahead of"
    skipped = "they are skipped" if too_old(age_s, max_age_s) else "they are taken"
    said = (
        f"images are {duration(abs(age_s))} {side} this node's clock "
        f"(max_age_s is {max_age_s:g}): {skipped}. "
    )
    if abs(age_s) > OTHER_CLOCK_S:
        return said + (
            "They are stamped by another clock: for a bag or a simulation set use_sim_time to true "
            "and have /clock published (ros2 bag play --clock), for a real camera set it to false"
        )
    return said + (
        "Synchronise the clocks of camera and computer (chrony, PTP), make the transport faster, "
        "or raise max_age_s"
    )


def duration(seconds: float) -> str:
    """Return a duration for people: "0.25 s", "3.2 h", "54.0 years".

    Args:
        seconds: the duration.
    """
    for size, name in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.2f} s"
