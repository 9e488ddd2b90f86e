"""Every error this project raises on purpose.

Sam6dError
├── InvalidInput            something handed to us is wrong: value, expectation, remedy
│   ├── InvalidFrame        rgb / depth / stamp of one RGB-D frame
│   ├── InvalidCamera       intrinsics
│   ├── InvalidMesh         a CAD file: missing, empty, huge, of unclear unit
│   ├── InvalidObjects      the objects file
│   ├── InvalidGrasps       the grasp file
│   ├── InvalidConfig       a parameter out of its range
│   ├── InvalidDataset      a BOP folder
│   ├── InvalidBag          a ROS 2 bag
│   ├── TooLarge            more bytes, pixels, faces or items than the stated limit
│   ├── NotAllowed          a path outside the allowed folders, or an address that is not allowed
│   └── UnknownName         a name that is not registered: object, model, stream
├── NotReady                loading, draining or stopped: the same request may succeed later
├── Overloaded              the queue is full: retry after the stated time
├── DeadlineExceeded        the request took longer than it may
├── Cancelled               the client gave the request up
├── CheckpointError         network weights: missing, truncated, of another network
├── BackendUnavailable      the chosen backend cannot run on this machine
├── ResourceExhausted       memory ran out even at the smallest chunk
└── InvariantError          a result of ours breaks its own rules: a defect, not bad input
"""

from collections.abc import Iterator
from contextlib import contextmanager


def install_extra(extra: str) -> str:
    """Return the remedy of a missing optional package, to end an error text with.

    Args:
        extra: of pyproject.toml.
    """
    # The package is on no index.
    return f"run in the clone of sam6d_ros: pip install -e '.[{extra}]'"


class Sam6dError(Exception):
    """Base of all errors raised on purpose by this project."""


class InvalidInput(Sam6dError, ValueError):
    """Something handed to us is wrong."""


class InvalidFrame(InvalidInput):
    """The colour image, the depth image or their combination is unusable."""


class InvalidCamera(InvalidInput):
    """The camera intrinsics are unusable."""


class InvalidMesh(InvalidInput):
    """A CAD model is unusable."""


class InvalidObjects(InvalidInput):
    """The objects file is unusable."""


class InvalidGrasps(InvalidInput):
    """The grasp file is unusable."""


class InvalidConfig(InvalidInput):
    """A parameter is out of its range."""


class InvalidDataset(InvalidInput):
    """A BOP-format folder is unusable."""


class InvalidBag(InvalidInput):
    """A ROS 2 bag is unusable."""


class TooLarge(InvalidInput):
    """Something has more bytes, pixels, faces or items than a stated limit."""


class NotAllowed(InvalidInput):
    """A path or an address is not among those that clients may use."""


class UnknownName(InvalidInput):
    """A name is not registered."""


class NotReady(Sam6dError):
    """The engine is loading, draining or stopped; the same request may succeed later."""


class Overloaded(Sam6dError):
    """The queue is full.

    Attributes:
        retry_after_s: seconds until a new attempt is worthwhile, estimated from recent work.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Sam6dError):
    """The request took longer than it may."""


class Cancelled(Sam6dError):
    """The client gave the request up."""


class CheckpointError(Sam6dError):
    """A weights file is missing, damaged or of another network."""


class BackendUnavailable(Sam6dError):
    """The chosen backend cannot run on this machine."""


class ResourceExhausted(Sam6dError):
    """Memory ran out even at the smallest chunk size."""


class InvariantError(Sam6dError):
    """A result of this program breaks its own rules: a defect, never bad input."""


@contextmanager
def own_results(maker: str) -> Iterator[None]:
    """Report invalid values that the code inside makes as a defect of this program.

    One rule: the constructors of the typed values raise ``InvalidInput``, for values of a caller.
    What a caller gave is checked before the first stage; an invalid value that comes up later was
    made here. Meshes, settings and names are the caller's wherever they fail.

    Args:
        maker: stage or function, for the message.

    Raises:
        InvariantError: the code raised ``InvalidInput``.
        InvalidConfig: as the code raised it.
        InvalidMesh: likewise.
        UnknownName: likewise.
    """
    try:
        yield
    except (InvalidMesh, InvalidConfig, UnknownName):
        raise
    except InvalidInput as error:
        raise InvariantError(f"{maker} gave an invalid result: {error}") from error
