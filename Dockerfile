# The image of migchat-server.
#
#   docker build -t migchat .                              the image to run: starts as root, becomes its own user
#   docker build -t migchat:hardened --target hardened .   never root, and nothing in it but the server
#
# `./run image` builds both without an engine and tries them (test/image). What is installed is told by
# deps/packages.tsv alone.

ARG BASE=debian:trixie-slim

# ---- the build: ./run build, as on any machine ---------------------------------------------------
FROM ${BASE} AS build
# What the binary says it was made from; the folder of git stays outside.
ARG COMMIT=unknown
WORKDIR /build
# Packages first: a changed source file does not install them again.
COPY run ./
COPY deps ./deps
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(./run packages build) \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN MIGCHAT_COMMIT="$COMMIT" ./run build \
    && install -s build/release/migchat-server /usr/bin/migchat-server

# ---- what runs it: Debian with its libraries, its user and its folder ------------------------------
FROM ${BASE} AS base
RUN --mount=type=bind,from=build,source=/build,target=/build \
    apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(/build/run packages runtime) \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
    # One number in every image, so that a volume can move between them.
    && groupadd --gid 10001 migchat \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin migchat \
    && install -d -o migchat -g migchat -m 0700 /data
COPY --from=build /usr/bin/migchat-server /usr/bin/migchat-server

# ---- the files of the hardened image: the server, what it loads, whose it is -----------------------
FROM base AS files
COPY deps/image-files /usr/local/bin/image-files
RUN image-files /usr/bin/migchat-server /files

FROM scratch AS hardened
COPY --from=files /files /
LABEL org.opencontainers.image.title="migchat-server (hardened)" \
      org.opencontainers.image.description="Self-hosted direct messages: the server and nothing else" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/migchat/server"
USER 10001:10001
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/bin/migchat-server", "healthcheck"]
ENTRYPOINT ["/usr/bin/migchat-server"]
CMD ["serve"]

# ---- the image (the last stage is what `docker build` and Fly build) -------------------------------
# No USER: a volume the Rust server left is root's. The server takes its folder over and becomes
# `migchat` before it listens (src/privileges.c); a shell stays for `fly ssh console`.
FROM base AS server
LABEL org.opencontainers.image.title="migchat-server" \
      org.opencontainers.image.description="Self-hosted direct messages: one small server, one database file" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/migchat/server"
# No default name but a demand: without its user the server does not start, rather than stay root.
ENV MIGCHAT_USER=migchat
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/bin/migchat-server", "healthcheck"]
ENTRYPOINT ["/usr/bin/migchat-server"]
CMD ["serve"]
