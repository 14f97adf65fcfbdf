# A worker's image for pools of type docker or kubernetes (docs/operations.md); it can also run a server.
#   docker build -t parc-tracker .
#   docker build -t parc-tracker:gpu --build-arg EXTRAS=mujoco,pipeline,gpu --build-arg TORCH_INDEX=https://pypi.org/simple .
FROM python:3.11-slim

ARG EXTRAS=mujoco,pipeline
# The CPU build of torch; a GPU image takes PyPI's, which brings CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# MuJoCo draws the videos off screen; on GPUs Triton compiles with gcc.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libosmesa6 \
        $(case ",$EXTRAS," in *,gpu,*) echo gcc libc6-dev ;; esac) \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/parc-tracker
COPY constraints.txt pyproject.toml setup.py README.md ./
COPY parc_core parc_core
COPY parc_tracker parc_tracker
COPY tasks tasks
COPY flows flows
COPY deployments deployments
COPY data data
RUN grep '^torch==' constraints.txt > /tmp/torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple -r /tmp/torch.txt \
    && grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && pip install --no-cache-dir -c /tmp/constraints.txt -e ".[$EXTRAS]"

# No root inside; work and caches belong on a volume at /work.
RUN useradd --create-home parc && mkdir /work && chown parc /work
USER parc
WORKDIR /work
ENV PARC_WORK=/work/store PARC_CACHE=/work/cache PREFECT_HOME=/work/prefect \
    DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
