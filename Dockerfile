# syntax=docker/dockerfile:1
# Two stages: the wheel is built in the first, and only what runs it is in the second. The image expects a database
# of its own (ONCEPROXY_DATABASE); the embedded one is for a person's machine. And it expects users in a configuration
# (docs/users.md), or ONCEPROXY_INSECURE_LISTEN=true where only this machine reaches the port.
# It sends to public addresses only; private ones have to be named in egress.allow (docs/egress.md).
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY locks ./locks
COPY config ./config
COPY proxy ./proxy
RUN python -m venv /opt/onceproxy \
 && /opt/onceproxy/bin/pip install --no-cache-dir --require-hashes --requirement locks/runtime.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement locks/build.txt \
 && /opt/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel \
 && /opt/onceproxy/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 onceproxy \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/onceproxy --create-home onceproxy
COPY --from=build /opt/onceproxy /opt/onceproxy
ENV PATH=/opt/onceproxy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ONCEPROXY_DATA_DIR=/var/lib/onceproxy \
    ONCEPROXY_LISTEN=0.0.0.0:8888 \
    ONCEPROXY_ADMIN_LISTEN=127.0.0.1:8889
USER 10001:10001
# The spool and the local CA live here. Keep them: else answers that the database has not taken are lost, and clients
# have to trust a new CA after each start.
VOLUME /var/lib/onceproxy
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=40s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8889/readyz', timeout=2)"]
ENTRYPOINT ["onceproxy"]
CMD ["serve"]
