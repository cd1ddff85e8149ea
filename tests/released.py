"""Frees compiled programs before a test process holds too many of them."""

import gc
import pathlib

import jax

# A program maps dozens of pieces of memory, and a process may have 65,530
# (Linux's vm.max_map_count): at the end of them the compiler crashes. At this
# many they take some 2 GB; until then, tests of one shape share them.
PIECES = 6000


def release() -> None:
  """Forgets the compiled programs if there are many."""
  maps = pathlib.Path("/proc/self/maps")
  if not maps.exists() or len(maps.read_text().splitlines()) > PIECES:
    jax.clear_caches()
    gc.collect()
