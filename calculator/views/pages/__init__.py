"""What whole pages say, in typed rows and sentences: a log beside its plan, the method and its accuracy."""
