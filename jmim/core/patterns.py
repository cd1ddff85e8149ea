"""Regular expressions that a config holds."""

import re
from typing import Any

from jmim.core import errors


def check(pattern: Any, key: str) -> None:
  """Raises UserError unless `pattern` is a regular expression, as text.

  Args:
    pattern: entry of the config.
    key: where it stands.
  """
  try:
    re.compile(pattern)
  except (TypeError, re.error) as e:
    raise errors.UserError(
      f"{key}: {pattern!r} ({e})", "a regular expression", "correct it", key
    ) from e
