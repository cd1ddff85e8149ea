"""Memory of the process, as glibc hands it out."""

import os
import sys


def huge_pages() -> None:
  """Starts this process again with huge pages for malloc (Linux, glibc 2.35).

  For the first line of a command. XLA's CPU backend allocates the temporaries
  of a step anew in every step; touching them in pages of 4 KiB was a third of
  the time of a digits MAE step (18,000 page faults; 216 ms with them, 138
  without). glibc reads the setting only at start-up. A GLIBC_TUNABLES that
  the user set stays as it is.
  """
  if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
