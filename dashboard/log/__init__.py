"""What the page of logs asks and shows: the box, what a log does not say, how it compares, the plan of its figures."""
