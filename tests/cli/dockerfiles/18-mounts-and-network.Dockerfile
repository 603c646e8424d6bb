# Mounts of each type. Built from scratch.
# syntax=docker/dockerfile:1
FROM scratch AS tools
COPY root/ /
RUN mkdir /kit && echo kit > /kit/file
FROM scratch
COPY root/ /
WORKDIR /w
RUN --mount=type=bind,source=data/one.txt,target=one.txt cp one.txt copied
RUN --mount=type=bind,from=tools,source=/kit,target=/kit cp /kit/file kit
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch-space \
    echo x > /cache/x && echo y > /scratch-space/y && echo done > result
RUN --network=none echo alone > alone
