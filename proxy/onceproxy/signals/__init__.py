"""What can be seen of the proxy at work: how long each stage takes, counts, one line a decision, traces."""
