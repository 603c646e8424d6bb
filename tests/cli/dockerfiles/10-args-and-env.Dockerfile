# Scopes of ARG and ENV, every operator, both forms, and the quotes that they take.
ARG BASE=scratch
ARG SHARED=shared
FROM scratch AS first
COPY root/ /
ARG SHARED
ARG ONLY_HERE="a b"
ENV OLD the   old form \
    goes on
ENV A="x y" B='$A' C=a\ b D=${ONLY_HERE:+set} E=${NONE:-fallback} F=${NONE-}
ENV A=z AA=$A
ENV FILE=archive.tar.gz
ENV STEM=${FILE%%.*} TYPE=${FILE#*.} SLASHED=${FILE//a/_}
RUN echo "$OLD|$A|$B|$C|$D|$E|$F|$AA|$STEM|$TYPE|$SLASHED|$SHARED|$ONLY_HERE" > /env.1
ARG LATE=late
RUN echo "$LATE|$SHARED" > /env.2
ENV LATE=env-wins
RUN echo "$LATE" > /env.3
FROM first
RUN echo "$A|$LATE|${SHARED-gone}|${ONLY_HERE-gone}" > /env.4
LABEL version="$A" "with space"="no" multi="one \
two"
