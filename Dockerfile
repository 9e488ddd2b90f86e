# Two images, of one source tree:
#
#   docker build --target core -t sam6d:core .   # command line and library, no ROS
#   docker build --target ros  -t sam6d:ros .    # the nodes, on ROS 2 Jazzy
#   docker run --rm --network host --ipc host sam6d:ros \
#     ros2 launch sam6d_ros pipeline.launch.py camera_ns:=/camera objects_file:=/objects/objects.yaml
#
# --ipc host, or --shm-size 512m, because every process takes 34 MB of shared memory for images.
# These recipes have not been built in the project's own tests, which run without Docker.

FROM python:3.12-slim AS core
WORKDIR /opt/sam6d_ros
COPY pyproject.toml setup.py LICENSE README.md ./
COPY sam6d_ros sam6d_ros
RUN pip install --no-cache-dir .
WORKDIR /data
ENTRYPOINT ["sam6d"]
CMD ["--help"]

FROM ros:jazzy-ros-base AS ros
SHELL ["/bin/bash", "-c"]
WORKDIR /ws
COPY . src/sam6d_ros
# The last three have no rosdep key. PIP_BREAK_SYSTEM_PACKAGES lets pip install beside Ubuntu's Python
# packages; the image is one environment. Ubuntu's NumPy 1.26 must stay: the distribution is built
# against it.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip \
 && rosdep update --rosdistro jazzy \
 && rosdep install --from-paths src --ignore-src -y --rosdistro jazzy \
 && pip install --no-cache-dir "numpy<2" embreex fast-simplification pycocotools \
 && rm -rf /var/lib/apt/lists/*
RUN source /opt/ros/jazzy/setup.bash && colcon build
ENV FASTDDS_DEFAULT_PROFILES_FILE=/ws/install/sam6d_ros/share/sam6d_ros/config/fastdds.xml
RUN printf '#!/bin/bash\nset -e\nsource /ws/install/setup.bash\nexec "$@"\n' > /entrypoint.sh \
 && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "sam6d_ros", "pipeline.launch.py"]
