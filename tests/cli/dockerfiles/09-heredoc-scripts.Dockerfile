# Here-documents of each kind. Built from scratch upon a busybox that comes from the context.
FROM scratch
COPY root/ /
RUN <<EOF
set -e
mkdir -p /out
echo "one $HOME" > /out/one
false || echo two > /out/two
EOF
RUN <<-'INDENTED'
	cat > /out/three <<INNER
	three
	INNER
INDENTED
RUN <<EOF
#!/bin/cat
the interpreter is cat
EOF
RUN cat <<A > /out/both && cat <<B >> /out/both
a
A
b
B
ARG NAME=world
COPY <<EOF <<"RAW" /out/files/
hello ${NAME}
EOF
hello ${NAME}
RAW
COPY --chmod=0750 --chown=7:8 <<EOF /out/script
#!/bin/sh
echo it\$x
EOF
CMD cat /out/one
