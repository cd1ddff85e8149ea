"""Hosts that meet by JAX's own service, all in this process."""

import pytest

from jmim.tools import scaling
from jmim.tools import scaling_hosts


def test_a_meeting_of_a_few_is_timed(capsys):
  assert scaling.main(["hosts", "--at=1,8"]) == 0
  out = capsys.readouterr().out.splitlines()
  assert [line.partition(":")[0] for line in out] == ["1 hosts", "8 hosts"]


@pytest.mark.slow
def test_a_thousand_hosts_meet_in_seconds():
  few, many = scaling_hosts.measure([64, 1024])
  assert many["meeting"] < max(10.0, 64 * few["meeting"])  # squared: 256 times
