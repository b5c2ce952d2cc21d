"""The way in: forward requests, CONNECT with TLS interception, mounts."""
