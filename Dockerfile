# Two stages: a build on Debian 13, and an image that holds one program, the libraries it links, and no shell user.
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential cmake ninja-build pkg-config libmicrohttpd-dev libcurl4-openssl-dev libc-ares-dev libpsl-dev \
      libsqlite3-dev libjansson-dev libssl-dev libpq-dev libargon2-dev libxmlsec1-dev zlib1g-dev libqrencode-dev uthash-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake --preset release && cmake --build --preset release --target tulle && strip build/tulle

FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates libmicrohttpd12t64 libcurl4t64 libcares2 libpsl5t64 libsqlite3-0 libjansson4 libssl3t64 libpq5 libargon2-1 libxmlsec1t64-openssl zlib1g libqrencode4 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin tulle \
    && install -d -o tulle -g tulle -m 0700 /data
COPY --from=build /src/build/tulle /usr/local/bin/tulle
USER tulle
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /health/live HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && grep -q '200 OK' <&3"]
ENTRYPOINT ["tulle"]
CMD ["serve"]
