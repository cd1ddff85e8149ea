"""What a run says: lines, events, boards, console, clock."""
