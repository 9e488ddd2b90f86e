"""6D object poses from RGB-D frames and CAD models.

The generated message module `sam6d_ros.msg` is installed in another folder than these sources
(an install space, or a virtual environment). Extending the search path lets one package name
cover both, so that a source folder on `sys.path` does not hide the messages.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
