"""A failover under load: of two Postgres servers that Patroni keeps, the one that takes writes is killed."""
