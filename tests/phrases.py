"""Documentation of fields and keys: phrases that stand alone."""

import re

# What begins so refers to the field before it, or to nothing.
LEANING = re.compile(
  r"(of|its|their|there|or|also|what|beside|the same|as|those|that)\b",
  re.IGNORECASE,
)


def leaning(docs):
  """Those of the docs, by key, that do not stand alone."""
  return {
    key: doc
    for key, doc in docs.items()
    if not doc.strip() or LEANING.match(doc.strip())
  }
