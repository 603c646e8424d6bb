# A Python service: wheels are built with a compiler and installed without one.
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim AS wheels
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y build-essential \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /wheels
COPY requirements.txt .
RUN pip wheel -r requirements.txt

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="service" \
      org.opencontainers.image.description="says \"hello\" to all"
ENV PYTHONUNBUFFERED=1 PATH="/home/app/.local/bin:$PATH"
RUN useradd --create-home app
USER app
WORKDIR /home/app
COPY --from=wheels /wheels/ /tmp/wheels/
RUN pip install --user --no-index --find-links=/tmp/wheels -r /tmp/wheels/requirements.txt
COPY --chown=app src/ ./src/
CMD gunicorn --bind "0.0.0.0:${PORT:-8000}" src.app:app
