"""Is the state whole? Run as a script, in a process of its own: `python check.py DATA/state`.

lmdb maps its file. Where the file has been cut short, or holds what was never written there, a read
of it ends the process that reads (SIGBUS, an assertion). So this one reads everything first, and
walks the free pages as a change would; the server opens what came through. It imports nothing of
Tierce, so that it costs 20 ms.
"""

import sys

import lmdb

#: How it ends when it could say what is wrong.
DAMAGED = 3
_NAMES = (b"meta", b"volumes", b"events")


def check(folder: str, map_bytes: int) -> None:
    """Read every value and begin a change that is given up; raises lmdb.Error."""
    names = (*_NAMES, b"check")
    with (
        lmdb.open(folder, map_size=map_bytes, max_dbs=len(names), lock=False) as env,
        env.begin(write=True) as transaction,
    ):
        # A database that a first start was cut off before is made, and given up with the rest.
        for name in names:
            database = env.open_db(name, txn=transaction)
            for _key, value in transaction.cursor(database):
                len(value)
            transaction.put(b"check", b"", db=database)
        transaction.abort()


if __name__ == "__main__":
    try:
        check(sys.argv[1], int(sys.argv[2]))
    except lmdb.Error as error:
        sys.stdout.write(str(error))
        sys.exit(DAMAGED)
