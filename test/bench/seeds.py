"""The databases the servers are measured with, made once and kept below build/bench/seeds.

Ours is made as the Rust server's file and adopted, the peer's is filled directly: the same
accounts, tokens and messages in both. A seed is made anew when what makes it has changed.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import sqlite3
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
sys.path.insert(0, str(ROOT / "test"))

from support.rust_database import RustDatabase, password_hash  # noqa: E402

CONTENT_BYTES = 80
CIPHERTEXT_BYTES = 468  # the published client's shortest
PASSWORD = "correct horse"
HOURS_OF_A_RUN = 2
ACCOUNTS_OF_HISTORY = 10_000
CONVERSATIONS_EACH = 50


@dataclasses.dataclass(frozen=True)
class Circle:
    """Accounts in a circle, each writing to the 25 after it: 50 conversations, half of it sent."""
    prefix: str
    accounts: int
    rounds: int  # messages from each to each of its 25
    content_bytes: int = CONTENT_BYTES

    def names(self):
        return [f"{self.prefix}{number:05d}" for number in range(self.accounts)]

    def messages(self):
        # Round by round, so that a history lies scattered among the others', as in life.
        names = self.names()
        reach = CONVERSATIONS_EACH // 2
        for _ in range(self.rounds):
            for step in range(1, reach + 1):
                for at, name in enumerate(names):
                    yield name, names[(at + step) % len(names)]


@dataclasses.dataclass(frozen=True)
class Star:
    """One account that writes with 50 others, in turns."""
    prefix: str
    messages_count: int
    content_bytes: int = CONTENT_BYTES

    def names(self):
        return [self.prefix] + [f"{self.prefix}p{number:02d}" for number in range(CONVERSATIONS_EACH)]

    def messages(self):
        own, *others = self.names()
        for number in range(self.messages_count):
            other = others[number // 2 % len(others)]
            yield (own, other) if number % 2 == 0 else (other, own)


@dataclasses.dataclass(frozen=True)
class Crowd:
    """Accounts without messages."""
    prefix: str
    accounts: int
    content_bytes: int = CONTENT_BYTES

    def names(self):
        return [f"{self.prefix}{number:05d}" for number in range(self.accounts)]

    def messages(self):
        return ()


SEEDS = {
    "empty": (),
    "accounts": (Crowd("user", 1_000),),
    "crowd": (Crowd("one", 10_000),),
    "lists": (Circle("hundred", 2_000, 2), Circle("couple", 1_000, 4), Circle("thousand", 64, 20),
              Circle("tenthousand", 64, 200), Circle("cipher", 2_000, 2, CIPHERTEXT_BYTES)),
    "history3": (Star("history3x", 1_000),),
    "history4": (Star("history4x", 10_000),),
    "history5": (Star("history5x", 100_000),),
    "history": (Star("history3x", 1_000), Star("history4x", 10_000), Star("history5x", 100_000),
                Star("history6x", 1_000_000), Crowd("filler", ACCOUNTS_OF_HISTORY - 204)),
    "pollers": (Circle("poller", 200, 100),),
    "check": (Crowd("user", 10), Circle("hundred", 1_200, 2)),
}


def token(name):
    return hashlib.sha256(f"token of {name}".encode()).hexdigest()[:32]


def content(number, length):
    text = f"message {number} "
    return text + "m" * (length - len(text))


def created_at(number, zone):
    second, thousandth = divmod(number, 1_000)
    minute, second = divmod(second, 60)
    return f"2025-11-03T{minute // 60 % 24:02d}:{minute % 60:02d}:{second:02d}.{thousandth:03d}{zone}"


def names_of(seed):
    return [name for group in SEEDS[seed] for name in group.names()]


def pairs_of(seed):
    """The messages as (number, sender's id, recipient's id, bytes of content)."""
    ids = {name: number for number, name in enumerate(names_of(seed), 1)}
    number = 0
    for group in SEEDS[seed]:
        for sender, recipient in group.messages():
            number += 1
            yield number, ids[sender], ids[recipient], group.content_bytes


def make_rust_database(path, seed):
    rust = RustDatabase(path)
    run = rust.database.executemany
    rust.database.execute("PRAGMA journal_mode = MEMORY")
    rust.database.execute("PRAGMA foreign_keys = OFF")
    rust.database.execute("PRAGMA synchronous = OFF")
    rust.database.execute("BEGIN")
    hashed = password_hash(PASSWORD)
    now = created_at(0, "000000+00:00")
    names = names_of(seed)
    run("INSERT INTO users VALUES (?, ?, ?, ?)",
        ((number, name, hashed, now) for number, name in enumerate(names, 1)))
    run("INSERT INTO sessions (user_id, token, created_at) VALUES (?, ?, ?)",
        ((number, token(name), now) for number, name in enumerate(names, 1)))
    run("INSERT INTO messages VALUES (?, ?, ?, ?, ?, NULL)",
        ((number, sender, recipient, content(number, length), created_at(number, "000000+00:00"))
         for number, sender, recipient, length in pairs_of(seed)))
    rust.database.execute("COMMIT")
    rust.close()


def make_peer_database(path, seed):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.executescript((BENCH / "fastify" / "schema.sql").read_text())
    database.execute("BEGIN")
    names = names_of(seed)
    database.executemany("INSERT INTO users VALUES (?, ?)", enumerate(names, 1))
    database.executemany("INSERT INTO sessions VALUES (?, ?)",
                         ((token(name), number) for number, name in enumerate(names, 1)))
    database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, NULL)",
                         ((number, sender, recipient, content(number, length), created_at(number, "Z"))
                          for number, sender, recipient, length in pairs_of(seed)))
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()


def check_adopted(path, seed):
    wanted = 2 * sum(1 for _ in pairs_of(seed))
    database = sqlite3.connect(path)
    found = database.execute("SELECT count(*) FROM log").fetchone()[0]
    database.close()
    assert found == wanted, f"{found} entries were adopted, {wanted} expected"


def fingerprint(flavour):
    made_by = [pathlib.Path(__file__)]
    if flavour == "peer":
        made_by.append(BENCH / "fastify" / "schema.sql")
    else:
        made_by.append(ROOT / "test" / "support" / "rust_database.py")
        made_by += sorted((ROOT / "src" / "store" / "sqlite" / "migrations").iterdir())
        made_by += sorted((ROOT / "src" / "store" / "sqlite").glob("adopt*.c"))
    digest = hashlib.sha256()
    for path in made_by:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def seed_path(work, seed, flavour, adopt, say):
    """The path of the seed's database, made if it is not there yet. `adopt(path)` runs our server
    on it once. Nothing may open the file itself: copy it first."""
    folder = work / "seeds" / f"{seed}-{flavour}-{fingerprint(flavour)}"
    path = folder / "seed.db"
    if path.exists():
        return path
    say(f"making the database '{seed}' for {'the peer' if flavour == 'peer' else 'MigChat'}")
    for old in (work / "seeds").glob(f"{seed}-{flavour}-*"):
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    fresh = folder / "fresh.db"
    if flavour == "peer":
        make_peer_database(fresh, seed)
    else:
        make_rust_database(fresh, seed)
        adopt(fresh)
        check_adopted(fresh, seed)
    left = [each.name for each in folder.iterdir() if each.name.endswith("-wal") and each.stat().st_size]
    assert not left, f"a WAL is left: {left}"
    fresh.rename(path)
    for each in folder.iterdir():
        if each != path:
            each.unlink()
    return path


def use_sessions(path):
    """As if every session had been used this hour, and the next ones: our server notes that once an hour, by a write
    that would otherwise be part of the first request of each account. The peers keep no such thing."""
    database = sqlite3.connect(path)
    columns = [row[1] for row in database.execute("PRAGMA table_info(session)")]
    if "last_used_at_ms" in columns:
        hour_ms = 3_600_000
        ahead_ms = HOURS_OF_A_RUN * hour_ms
        database.execute("UPDATE session SET last_used_at_ms = ?",
                         (int(time.time() * 1000) // hour_ms * hour_ms + ahead_ms,))
        database.commit()
    database.close()


def copy(path, target):
    """A copy to be written to, already on disk: its writing must not be in the measurement."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("-wal", "-shm", ".lock", ""):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o600)
    use_sessions(target)
    file = os.open(target, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
    return target
