# The whole context but for what .dockerignore leaves out; a stage chosen by an ARG.
ARG VARIANT=debug
FROM scratch AS base
COPY root/ /
FROM base AS variant-debug
ENV MODE=debug
FROM base AS variant-release
ENV MODE=release
FROM variant-${VARIANT} AS final
COPY . /ctx
RUN echo $MODE > /mode && find /ctx -type f | sort > /files
