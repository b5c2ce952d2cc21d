"""The store: the guard's port over one Postgres database. Each verb is told in a module of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from onceproxy.core.messages import Body
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.guard.ports import (
    Note,
    Resolution,
    Settled,
    Settlement,
    SettlementRefused,
    StoreUnavailable,
    Watch,
)
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.sealing import answers
from onceproxy.sealing.answers import opened_receipt
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.abandoned import Abandoned
from onceproxy.store.alone import claim_alone, settle_alone
from onceproxy.store.batching import Batched
from onceproxy.store.cache import Hit, ReceiptCache
from onceproxy.store.chores import chores
from onceproxy.store.claims import NEW, Asked, InstanceNotLive, NewClaims, try_new
from onceproxy.store.connection import Connections
from onceproxy.store.doubts import count_doubts
from onceproxy.store.errors import DATABASE_ERRORS, DataDirUnusable
from onceproxy.store.leases import Lease, boottime
from onceproxy.store.looking import Looking
from onceproxy.store.notes import Notes
from onceproxy.store.outbox import Outbox
from onceproxy.store.parts import Parts
from onceproxy.store.pooler import opened
from onceproxy.store.preparing import gone, prepare
from onceproxy.store.reading import read
from onceproxy.store.rekeying import unknown_keys
from onceproxy.store.resolutions import resolve
from onceproxy.store.retrying import persist
from onceproxy.store.settlements import Endings, endings, settle_standing
from onceproxy.store.tokens import new_uuid
from onceproxy.store.watching import Watching

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that a verb keeps trying through an outage
LAST_BATCH = 1.0  # seconds at close for batches under way
GIVE_BACK = 1.0  # seconds at close for claims that are being given back


class PostgresStore:
    """Durable receipts in Postgres, on behalf of one instance. Make one with ``open``."""

    def __init__(
        self,
        connections: Connections,
        lease: Lease,
        watching: Watching,
        cache: ReceiptCache,
        credential_key: bytes,
        patience: float,
        keyring: Keyring,
        room: Room,
        batched: Batched | None = None,
    ) -> None:
        self._connections = connections
        self._looking = Looking(connections, batched)
        self._new_claims = NewClaims(connections, batched)
        self._endings = endings(connections, batched)
        self._notes = Notes(connections, batched)
        self._refused: set[UUID] = set()
        self._lease = lease
        self._watching = watching
        self._cache = cache
        self._abandoned = Abandoned(connections)
        self._keyring = keyring
        self._parts = Parts(connections, keyring, room)
        self._chores = chores(connections)
        self._credential_key = credential_key
        self._patience = patience
        self.outbox = Outbox(connections)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        direct: str | None = None,
        allow_unsafe_durability: bool = False,
        connect_timeout: float = 30.0,
        lease: float = 20.0,
        heartbeat: float = 5.0,
        data_dir: Path | None = None,
        pool_size: int = 10,
        patience: float = PATIENCE,
        keyring: Keyring | None = None,
        batched: Batched | None = None,
        cache: int = 0,
        room: Room = ENDLESS,
        cache_hit: Hit | None = None,
    ) -> Self:
        """Connect, check the server, migrate the schema and register as an instance.

        Args:
            url: as asyncpg takes it, unix sockets included (``postgresql://user@/name?host=/directory``).
            direct: where the database is past a pooler in transaction mode that ``url`` leads to; None: it
                leads to none.
            allow_unsafe_durability: go on where a crash of the server may forget commits.
            connect_timeout: seconds to keep trying for the first connection.
            lease: seconds after which a silent instance counts as dead.
            heartbeat: seconds between renewals of the lease; less than half of it.
            data_dir: where instances of this machine keep their lock files. None: a killed one is found out
                by its lease alone.
            pool_size: connections at most, 2 or more; one more listens for news.
            patience: seconds that a verb keeps trying through an outage.
            keyring: the keys of what receipts keep of answers. None: it is neither encrypted nor decrypted.
            batched: is told of each batch of claims, settlements, or looks at receipts.
            cache: bytes of completed receipts that are kept in memory; ``cache_hit`` is told of each hit.
            room: where the bodies of large receipts lie that copies get.

        Raises:
            DatabaseUnreachable: no connection, or refused for good.
            ServerTooOld: older than Postgres 14.
            UnsafeDurability: the server may forget commits.
            SchemaTooNew: a newer version migrated the database.
            SchemaMissing: the search_path leads nowhere, or ``url`` and ``direct`` lead to two databases.
            DataDirUnusable: ``data_dir`` can't be written to.
            SecretUnreadable: the key that all proxies share can't be decrypted.
            ValueError: ``heartbeat`` and ``lease`` do not fit, or ``pool_size`` is less than 2.
        """
        if not 0 < heartbeat * 2 < lease:
            raise ValueError("the heartbeat must fit into the lease more than twice")
        if pool_size < 2:
            raise ValueError("the pool needs two connections: one is reserved for settlements")
        keyring = keyring or Keyring()
        past = direct or url
        key = await prepare(past, connect_timeout, keyring, allow_unsafe_durability=allow_unsafe_durability)
        try:
            connections = await opened(
                url,
                pool_size,
                key if direct is not None else None,
                keyring,
                allow_unsafe_durability=allow_unsafe_durability,
            )
        except DATABASE_ERRORS as error:
            raise gone(error) from error
        receipts = ReceiptCache(cache, boottime, cache_hit)
        watching = Watching(past, receipts)
        life = Lease(
            connections, lease=lease, heartbeat=heartbeat, data_dir=data_dir, begun=watching.begin_anew
        )
        store = cls(connections, life, watching, receipts, key, patience, keyring, room, batched)
        try:
            await life.begin()
            await store._watching.start()
            for chore in store._chores:
                chore.start()
        except (asyncio.CancelledError, DataDirUnusable):
            await store.close()
            raise
        except DATABASE_ERRORS as error:
            await store.close()
            raise gone(error) from error
        return store

    async def close(self) -> None:
        """Hand over: this instance ends, and its open claims are in doubt for whoever sees them first."""
        for chore in self._chores:
            await chore.stop()
        await asyncio.gather(
            *(
                lane.close(LAST_BATCH)
                for lane in (self._new_claims.lane, self._looking, self._endings, self._notes)
            )
        )
        await self._abandoned.close(GIVE_BACK)
        await self._watching.stop()
        await self._lease.end()
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def credential_key(self) -> bytes:
        """The 32-byte key of the digests of credentials, the same for all instances of this database."""
        return self._credential_key

    @property
    def keyring(self) -> Keyring:
        """The keys of what receipts keep of answers."""
        return self._keyring

    @property
    def instance(self) -> UUID:
        """The instance that this process is at the moment. It changes when a lease was lost."""
        return self._lease.instance

    async def claim(self, action: Action) -> Claim | Receipt:
        """Claim an action, or return the receipt that stands in the way.

        Raises:
            StoreUnavailable: the database or our lease on it is away. Nothing may be sent.
        """
        token = new_uuid()
        instance = self._lease.check()
        if (known := self._cache.found_by(action)) is not None:
            return known
        asked = self._lease.now()
        try:
            wish = Asked(action, token, instance)
            tried = await try_new(self._new_claims, wish, self._patience)
            if tried is NEW:
                self._lease.remember(token, instance)
                return Claim(action.request_id, token, 1)
            left = asked + self._patience - self._lease.now()
            trying = claim_alone(self._looking, self._new_claims, wish, tried, self._keyring, left)
            result = await self._cache.filled(action.request_id.digest, trying)
        except (asyncio.CancelledError, StoreUnavailable, *DATABASE_ERRORS) as error:
            if isinstance(error, InstanceNotLive):
                self._lease.distrust(instance)
            # The claim may be durable all the same, and nobody would ever end it.
            self._abandoned.give_back(action.request_id, token)
            if type(error) is StoreUnavailable and self._new_claims.turns.is_held(action.request_id.digest):
                raise StoreUnavailable("another transaction of the database holds this receipt") from error
            raise
        if isinstance(result, Claim):
            self._lease.remember(token, instance, asked + result.resend_left)
        return result

    def at_hand(self, action: Action) -> Receipt | None:
        """Return the receipt that ``claim`` would return from memory; None: it has to ask the database."""
        return self._cache.found_by(action) if self._lease.runs() else None

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Write the end of an attempt durably. May be repeated: the same settlement is stored once.

        ``SUPERSEDED`` also where the receipt's own attempt says other than what was settled before: that is
        kept in the audit trail as ``contradicted``.

        Raises:
            StoreUnavailable: the database is away. It is not known whether the settlement was stored.
            SettlementRefused: the database is there and does not take it, whatever the reason.
            ValueError: the settlement says completed and brings no response.
        """
        sealed = answers.sealed_settlement(self._keyring, claim, settlement)
        # What was refused once would make every batch fail that it is in.
        together = self._endings if claim.token not in self._refused else None
        if together is not None and await settle_standing(together, claim, sealed):
            settled = Settled.STORED
        else:
            settled = await self._settle_alone(claim, sealed, together)
        self._lease.forget(claim.token)
        self._watching.wake(claim.request_id.digest)
        return settled

    async def _settle_alone(self, claim: Claim, settlement: Settlement, together: Endings | None) -> Settled:
        try:
            settled = await settle_alone(
                self._connections,
                together,
                self._parts,
                claim,
                settlement,
                lambda: self._lease.instance,
                self._patience,
            )
        except DATABASE_ERRORS as error:
            # A mistake, of ours or with the tables. What happened must outlive that until somebody mends it.
            log.exception("the database refuses a settlement")
            self._refused.add(claim.token)
            raise SettlementRefused(f"the database refuses it: {type(error).__name__}") from error
        self._refused.discard(claim.token)
        return settled

    async def read(self, request_id: RequestId) -> Receipt | None:
        """Return the receipt, if there is one that has not expired. A claim whose owner is gone turns
        in_doubt.

        Raises:
            StoreUnavailable: the database is away.
        """
        if (known := self._cache.find(request_id.digest)) is not None:
            return known
        asking = persist(lambda: self._read(request_id), self._patience)
        return await self._cache.filled(request_id.digest, asking)

    async def _read(self, request_id: RequestId) -> Receipt | None:
        found = await read(self._looking, request_id)
        return opened_receipt(self._keyring, found) if found is not None else None

    async def load(self, receipt: Receipt) -> Body | None:
        """Return the whole body of a receipt that keeps it in parts; None: it is gone, or damaged.

        Raises:
            StoreUnavailable: the database is away, or this machine's disk does not take the body.
            Unreadable: it is encrypted, and can't be decrypted.
        """
        try:
            body = await self._parts.load(receipt, self._patience)
            if body is None and (now := await self.read(receipt.request_id)) is not None:
                # It may have been encrypted since it was seen: other parts, of the same body.
                return (
                    await self._parts.load(now, self._patience)
                    if answers.is_encrypted_since(receipt, now)
                    else None
                )
            return body
        except OSError as error:
            raise StoreUnavailable(f"the body can't be spooled here: {error.strerror}") from error

    def watch(self, request_id: RequestId) -> AbstractContextManager[Watch]:
        """Listen for changes of one receipt while the context lasts. Holds no database connection."""
        return self._watching.watch(request_id)

    async def unknown_keys(self) -> list[str]:
        """Return the ids of keys that the newest receipts are encrypted with, and that are not here."""
        return await unknown_keys(self._connections, self._keyring)

    async def doubts(self) -> tuple[int, float]:
        """Return how many actions are in doubt, and for how many seconds the oldest one has been.

        Raises:
            StoreUnavailable: the database is away.
        """
        return await persist(lambda: count_doubts(self._connections), self._patience)

    async def listening(self) -> None:
        """Return when news from other instances can be heard; after a broken connection, again."""
        await self._watching.listening()

    async def resolve(self, request_id: RequestId, attempt: int, resolution: Resolution) -> bool:
        """Settle the doubt about an attempt durably; return whether it was still in doubt.

        Raises:
            StoreUnavailable: the database is away. It is not known whether the resolution was stored.
        """
        sealed = answers.sealed_resolution(self._keyring, request_id, attempt, resolution)
        resolved = await persist(
            lambda: resolve(self._connections, request_id, attempt, sealed), self._patience
        )
        self._watching.wake(request_id.digest)
        return resolved

    async def note(self, request_id: RequestId, note: Note, reason: str = "") -> None:
        """Write an entry that changes no state. One try: a count is not worth a wait.

        Raises:
            StoreUnavailable: the database is away.
        """
        await self._notes.write(request_id, self._lease.instance, note, reason)

    async def note_replays(self, copies: Mapping[RequestId, int]) -> None:
        """Write an entry for each of these actions; one try, as for ``note``.

        Raises:
            StoreUnavailable: the database is away.
        """
        await self._notes.write_replays(copies, self._lease.instance)

    def may_send(self, claim: Claim | None = None) -> bool:
        """Say whether this instance's lease still runs and, given a claim, whether it covers that claim.

        A claim from before a lease was lost is not covered by the lease that followed: others may have put it
        in doubt, and may have sent the action again since.
        """
        return self._lease.runs() if claim is None else self._lease.covers(claim.token)

    async def bury_the_dead(self) -> None:
        """Put in doubt what processes of this data directory had claimed that are gone."""
        await persist(self._lease.bury_the_dead, self._patience)
