"""What a run reports: lines, events, boards, console, clock."""
