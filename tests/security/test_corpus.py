"""Each hostile input, sent forward, inside a tunnel and through a mount.

Never a request upstream that was not meant, never a byte of one in another, never a 5xx of ours, never a
connection that hangs; and what should be sent or refused is.
"""

from __future__ import annotations

import pytest

from security.hostile import WAYS, Class, read
from security.line import Line
from security.sending import Trial, run_all

CLASSES = list(read())


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inputs", CLASSES, ids=lambda one: one.name)
async def test_each_input_is_sent_or_refused_as_it_should(wire: Line, inputs: Class, way: str) -> None:
    wrong = await run_all([Trial(wire, way, item) for item in inputs.inputs])

    wrong += wire.plain.take_faults() + wire.secure.take_faults()
    assert not wrong, "\n".join(wrong)
