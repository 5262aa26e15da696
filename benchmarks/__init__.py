"""What the calculator and its page cost, each as a ratio to a floor measured in the same run."""
