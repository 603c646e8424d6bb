# Triggers of ONBUILD, which the stage that begins from theirs carries out first.
FROM scratch AS base
COPY root/ /
WORKDIR /app
ONBUILD ARG GREETING=hi
ONBUILD COPY data/one.txt /app/
ONBUILD RUN echo "$GREETING" > greeting && cat one.txt >> greeting
FROM base
CMD ["cat", "/app/greeting"]
