# USER by name and by number, and relative WORKDIRs.
FROM scratch
COPY root/ /
RUN mkdir -p /etc && echo 'root:x:0:0::/root:/bin/sh' > /etc/passwd && \
    echo 'app:x:1234:2345::/home/app:/bin/sh' >> /etc/passwd && mkdir -p /home/app && \
    chown 1234:2345 /home/app
WORKDIR /srv
WORKDIR nested/../deeper
RUN pwd > here
USER app
WORKDIR /home/app
RUN id -u > who && pwd >> who && echo "$HOME" >> who
RUN ["sh", "-c", "echo exec > form"]
USER root
RUN id -u > /root.who
USER 1234:2345
