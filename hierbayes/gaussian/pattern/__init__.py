"""Where Lambda'Z'WZ Lambda + I and its factor have entries: found once, from which levels meet."""
