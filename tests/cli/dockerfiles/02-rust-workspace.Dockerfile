# A Rust workspace, whose dependencies are built before its own crates.
FROM rust:1.79-slim AS chef
WORKDIR /app
RUN cargo install cargo-chef

FROM chef AS planner
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN cargo chef cook --release --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin api

FROM debian:bookworm-slim AS runtime
RUN set -eux; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates; \
    rm -rf /var/lib/apt/lists/*; \
    useradd --system --uid 10001 api
COPY --from=builder /app/target/release/api /usr/local/bin/
USER api
ENV RUST_LOG=info
HEALTHCHECK --interval=30s --timeout=3s --retries=3 CMD ["/usr/local/bin/api", "--health"]
CMD ["api"]
