# Files from the network, in each way that Dockerfiles have.
FROM debian:12@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ADD https://example.org/tool-1.0.tar.gz /tmp/
ADD --checksum=sha256:abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd \
    https://example.org/tini /usr/bin/tini
ADD https://github.com/example/project.git#v1.0 /src
RUN curl -fsSL https://example.org/install.sh | sh -s -- --yes
RUN wget -O /usr/share/key.gpg https://example.org/key.gpg && chmod 0755 /usr/bin/tini
RUN git clone --depth 1 https://github.com/example/other /other
RUN date -u +%Y-%m-%d > /etc/build-date
ENTRYPOINT ["/usr/bin/tini", "--"]
