"""How much the tests of test/torture do: short in ./run test, long in ./run torture.

Both begin from a seed, which is printed; MIGCHAT_SEED chooses another.
"""

import os
import random

IS_LONG = os.environ.get("MIGCHAT_TORTURE") == "1"
SEED = int(os.environ.get("MIGCHAT_SEED", "6"))


def size(short, long):
    return long if IS_LONG else short


def chance(*of):
    """A generator of its own for each part of a test, so that threads do not disturb each other."""
    return random.Random(f"{SEED} {of}")


def teller(request, capsys):
    """A function that prints a line of figures, in short runs as well."""
    def line(text):
        with capsys.disabled():
            print(f"\n{request.node.name}, seed {SEED}: {text}", flush=True)
    return line
