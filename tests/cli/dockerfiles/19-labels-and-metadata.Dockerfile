# Everything that only says something about the image.
FROM scratch
MAINTAINER Example Maintainers <team@example.org>
ARG REVISION
LABEL org.opencontainers.image.revision=$REVISION
LABEL "com.example.vendor"="ACME Incorporated" com.example.empty=""
LABEL old form of a label
ENV LANG=C.UTF-8 EMPTY=
VOLUME ["/data", "/var/cache/app"]
VOLUME /logs /more
EXPOSE 80 443/tcp 53/udp
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=1m CMD true
WORKDIR /data
USER 1000:1000
ENTRYPOINT ["/app", "--flag", "with \"quotes\" and \\ and ${{ braces }}"]
CMD []
