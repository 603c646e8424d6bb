# COPY and ADD in their shapes: owners, modes, directories, wildcards, archives, other stages.
FROM scratch AS tree
COPY root/ /
RUN mkdir -p /made/dir && echo file > /made/dir/file && echo app > /made/app.bin && chmod 0750 /made/app.bin
FROM scratch
COPY root/ /
COPY --chown=5:6 data/one.txt /plain
COPY data/one.txt data/two.txt /many/
COPY data /contents
COPY data/ /contents-too/
COPY data/*.txt /globbed/
COPY --chmod=600 data/one.txt /mode
COPY --from=tree /made/dir /from/dir
COPY --from=tree --chown=9 /made/app.bin /from/
COPY --from=0 /made/dir/ /from/numbered
ADD bundle.tar /unpacked
WORKDIR /work
COPY data/two.txt .
COPY ["data/with space.txt", "renamed here.txt"]
COPY --parents data/sub/deep.txt /parents/
COPY --chown=daemon:daemon data/sub /owned
