# Two images from one file:
#   docker build --target web .      pages, API and queue; no torch
#   docker build --target worker .   the same and what trains; CPU by default
# For CUDA name another index of PyTorch, for instance
#   docker build --target worker --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/rankscope/bin:$PATH

# Packages come before sources: an edit of ours does not install them again.
FROM base AS web-packages
WORKDIR /build
RUN python3 -m venv /opt/rankscope
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
web = project['dependencies'] + extras['web'] + extras['data'] + extras['postgres']; \
open('web.txt', 'w').write('\n'.join(web)); \
open('train.txt', 'w').write('\n'.join(extras['train']))" \
 && pip install --constraint constraints.txt --requirement web.txt

FROM web-packages AS worker-packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# torch from its index alone: beside PyPI, pip would quietly take the larger build from there.
RUN pip install --constraint constraints.txt --no-deps --index-url "${TORCH_INDEX}" torch \
 && pip install --constraint constraints.txt --requirement train.txt

FROM base AS wheel
WORKDIR /build
COPY . .
RUN python3 -m venv /opt/rankscope && pip wheel --no-deps --wheel-dir /wheels .

# The user may write nowhere but in /data, the home of the runs.
FROM base AS runtime
RUN groupadd --gid 10001 rankscope \
 && useradd --uid 10001 --gid rankscope --home-dir /data --no-create-home --shell /usr/sbin/nologin rankscope \
 && install --directory --owner rankscope --group rankscope --mode 0750 /data
ENV RANKSCOPE_HOME=/data
WORKDIR /data

FROM runtime AS web
COPY --from=web-packages /opt/rankscope /opt/rankscope
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl
USER rankscope
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["rankscope", "web", "--host", "0.0.0.0", "--port", "7860"]

FROM runtime AS worker
COPY --from=worker-packages /opt/rankscope /opt/rankscope
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl
USER rankscope
# Trainings end with their container, so they go back to the queue when it is stopped.
ENV RANKSCOPE_ON_SHUTDOWN=requeue
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
  CMD ["python", "-P", "-m", "rankscope.tasks.healthy"]
CMD ["rankscope", "worker"]
