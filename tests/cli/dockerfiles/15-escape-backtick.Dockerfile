# escape=`
# Another escape character, comments within an instruction, and a blank line in one.
FROM scratch
COPY root/ /
RUN echo one `
# a comment between
    two > /joined && `

    echo 'c:\dir' >> /joined
ENV WINDOWS=c:\dir QUOTED="a `"b`" c"
