"""What all tests share. Fixtures for databases and stores are in ``stores.py``."""

from hypothesis import HealthCheck, settings

pytest_plugins = ("stores",)

# No test asserts on time: on a busy machine an example, or the making of one, may take as long as it likes.
settings.register_profile("onceproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("onceproxy")
