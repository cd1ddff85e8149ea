"""What is set once, before the first program of a process is compiled."""

import os
import pathlib
import sys
import tempfile

import jax


def keep_compiled(directory: str) -> None:
  """Keeps compiled programs in a folder; where it can't be written, none.

  Args:
    directory: `hardware.compile_cache`; "": none. JAX_COMPILATION_CACHE_DIR,
      where the user set it, wins.
  """
  if not directory or "JAX_COMPILATION_CACHE_DIR" in os.environ:
    return
  try:
    cache = pathlib.Path(directory).expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=cache).close()
  except (OSError, RuntimeError) as e:  # no home, or one that is only read
    print(f"compiled programs are not kept: {e}", file=sys.stderr)
    return
  jax.config.update("jax_compilation_cache_dir", str(cache))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
