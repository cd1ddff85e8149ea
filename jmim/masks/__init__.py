"""Which tokens are hidden: from scores to ids, shapes static."""
