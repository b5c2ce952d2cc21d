"""onceproxy's ``once``."""

from effect import AMOUNT, FOLDER, KEY, LEASE, POSTGRES, effect

from onceproxy import Guard

with open(f"{FOLDER}/onceproxy.yaml", "w") as file:
    file.write(f"version: 1\nlimits: {{lease: {LEASE}s}}\n")

with Guard(POSTGRES, config=f"{FOLDER}/onceproxy.yaml", data_dir=FOLDER) as guard:

    @guard.once(key="order")
    def charge(order: str, amount: int) -> dict[str, int]:
        return effect(amount)

    print(charge(KEY, AMOUNT))
