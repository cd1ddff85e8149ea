"""The data set of a known chain."""

import numpy as np
import pytest

from jmim.data import sources
from jmim.data.builders import markov as builder


def test_the_data_set_is_drawn_from_its_chain(tmp_path):
  source = sources.build("markov/short", "test", str(tmp_path))
  rows = np.stack([source[i]["tokens"] for i in range(len(source))])
  assert rows.shape == (1024, 8) and rows.dtype == np.int32
  chain = builder.chain("short")
  assert chain.nll(rows).mean() == pytest.approx(chain.entropy(8), rel=0.02)
