"""Make the database that the example backs up, where there is none yet: `demo.py FILE`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

ORDERS = 5_000


def main() -> None:
    """Create orders and customers; an existing file is left alone."""
    path = Path(sys.argv[1])
    if path.exists():
        print(f"{path} is there")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER)")
        database.executemany(
            "INSERT INTO customers VALUES (?, ?)", ((number, f"customer {number}") for number in range(100))
        )
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            ((number, number % 100, number * 7 % 9_000 + 100) for number in range(ORDERS)),
        )
    print(f"{path} made with {ORDERS} orders")


if __name__ == "__main__":
    main()
