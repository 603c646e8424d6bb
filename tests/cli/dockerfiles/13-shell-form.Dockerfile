# SHELL, and what becomes of the shell form of CMD and ENTRYPOINT.
FROM scratch AS plain
COPY root/ /
RUN echo 'single '\''quoted'\''' \
    "and $((1 + 1))" > /shell.1
SHELL ["/bin/sh", "-eu", "-c"]
RUN x=1; echo "$x; it's" > /shell.2
RUN ["/bin/sh", "-c", "echo \"$0 $1\" > /shell.3", "zero", "two words"]
ENTRYPOINT exec cat
FROM plain
SHELL ["/bin/busybox", "sh", "-c"]
CMD cat /shell.1 /shell.2
