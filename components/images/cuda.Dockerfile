# syntax=docker/dockerfile:1
# Every stage of tongues, computing on NVIDIA GPUs.
# Build from the repository root: see components/images/README.md.

ARG PYTHON_IMAGE=docker.io/library/python:3.11.14-slim-bookworm
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9

FROM ${UV_IMAGE} AS uv

# Dependencies first, so that a change of our own code reuses this layer.
FROM ${PYTHON_IMAGE} AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV VIRTUAL_ENV=/opt/tongues \
    UV_CACHE_DIR=/var/cache/uv \
    PATH=/opt/tongues/bin:${PATH} \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY pyproject.toml constraints.txt ./
# The torch of the package index brings its CUDA libraries; the driver is the node's.
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv --python /usr/local/bin/python3 /opt/tongues \
    && uv pip install --constraint constraints.txt --requirement pyproject.toml \
       --extra train --extra registry --extra eval --extra pipelines
COPY README.md LICENSE ./
COPY recipes recipes
COPY pipelines pipelines
COPY manifests manifests
COPY src src
# And what is in the image, for scanners: the Python packages here, Debian's by dpkg's own list.
RUN --mount=type=cache,target=/var/cache/uv uv pip install --no-deps . \
    && uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-reproducible \
       --output-format JSON --output-file /opt/tongues/sbom.cdx.json /opt/tongues/bin/python

FROM ${PYTHON_IMAGE} AS runtime
# Triton compiles a stub with the C compiler when it first meets a kernel.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
       'apertium=3.8.3-*' \
       'apertium-en-gl=0.5.4-*' \
       'apertium-eng-cat=1.0.1-*' \
       'apertium-eng-spa=0.8.1-*' \
       'apertium-eo-en=1.0.2-*' \
       'gcc=4:12.2.*' \
       'libc6-dev=2.36-*' \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/tongues /opt/tongues
# Any user id works, as some platforms choose their own: nothing is written outside /tmp, and USER and HOME
# are given because an unknown id has neither.
ENV PATH=/opt/tongues/bin:${PATH} \
    OMP_WAIT_POLICY=PASSIVE \
    HOME=/tmp \
    USER=tongues \
    HF_HOME=/tmp/huggingface \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TRITON_CACHE_DIR=/tmp/triton
USER 10001:0
WORKDIR /tmp
ENTRYPOINT ["tongues"]
CMD ["--help"]

# docker build --target test: the fast tests, in the image that ships, as the user that runs it.
FROM runtime AS test
COPY --from=uv /uv /usr/local/bin/uv
COPY --chown=10001:0 . /src
WORKDIR /src
USER 0
RUN --mount=type=cache,target=/var/cache/uv \
    VIRTUAL_ENV=/opt/tongues UV_CACHE_DIR=/var/cache/uv uv pip install --constraint constraints.txt --group dev
USER 10001:0
RUN python -m pytest tests/unit -p no:cacheprovider

FROM runtime AS image
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="tongues-cuda" \
      org.opencontainers.image.description="Every stage of tongues, on NVIDIA GPUs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
