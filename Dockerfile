# Images of one source tree:
#
#   docker build --target core -t sam6d:core .   # command line and library, no ROS
#   docker build --target core -t sam6d:http --build-arg EXTRAS=bags,http .   # and HTTP services
#   docker build --target ros  -t sam6d:ros .    # the nodes, on ROS 2 Jazzy
#   docker build --target ros  -t sam6d:ros-cuda --build-arg SAM6D=1 .   # and the networks, CUDA
#   docker run --rm --network host --ipc host sam6d:ros \
#     ros2 launch sam6d_ros pipeline.launch.py camera_ns:=/camera objects_file:=/objects/objects.yaml
#
# compose.yaml starts them with their mounts. --ipc host, or --shm-size 512m, because every process
# takes 34 MB of shared memory for images.
# These recipes have not been built in the project's own tests, which run without Docker.

FROM python:3.12-slim AS core
# Extras of the Python package (pyproject.toml), for example bags,http,sam6d.
ARG EXTRAS=bags
WORKDIR /opt/sam6d_ros
COPY pyproject.toml setup.py LICENSE README.md ./
COPY sam6d_ros sam6d_ros
COPY config config
COPY launch launch
RUN pip install --no-cache-dir ".[$EXTRAS]"
WORKDIR /data
ENTRYPOINT ["sam6d"]
CMD ["--help"]

FROM ros:jazzy-ros-base AS ros
SHELL ["/bin/bash", "-c"]
# 1: also the libraries of the sam6d backend; torch from the package index is the CUDA build.
ARG SAM6D=0
# More of the distribution's packages, for example ros-jazzy-realsense2-camera.
ARG APT_PACKAGES=""
# The image is one environment: pip installs beside Ubuntu's Python packages. Ubuntu's NumPy 1.26
# must stay, the distribution is built against it.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CONSTRAINT=/etc/pip-constraints.txt
RUN echo "numpy<2" > /etc/pip-constraints.txt
WORKDIR /ws
COPY package.xml src/sam6d_ros/package.xml
# The last three have no rosdep key.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip $APT_PACKAGES \
 && rosdep update --rosdistro jazzy \
 && rosdep install --from-paths src --ignore-src -y --rosdistro jazzy \
      -t buildtool -t build -t build_export -t exec \
 && pip install --no-cache-dir embreex fast-simplification pycocotools \
 && if [ "$SAM6D" = 1 ]; then pip install --no-cache-dir torch segment-anything safetensors; fi \
 && rm -rf /var/lib/apt/lists/*
# After the dependencies, which change less often.
COPY . src/sam6d_ros
RUN source /opt/ros/jazzy/setup.bash && colcon build --cmake-args -DBUILD_TESTING=OFF
ENV FASTDDS_DEFAULT_PROFILES_FILE=/ws/install/sam6d_ros/share/sam6d_ros/config/fastdds.xml
RUN printf '#!/bin/bash\nset -e\nsource /ws/install/setup.bash\nexec "$@"\n' > /entrypoint.sh \
 && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "sam6d_ros", "pipeline.launch.py"]
